//! Who may use the admin API.

use super::Api;
use super::reply::Refusal;
use crate::base::secret::DigestKey;
use crate::gate::secret;

impl Api {
    /// `syncs`: a command on the same store may ask for it, too, which shows the token made for that.
    pub(super) async fn admit(
        &self,
        authorization: Option<&[u8]>,
        syncs: bool,
    ) -> Result<(), Refusal> {
        let token = authorization.and_then(bearer);
        let world = self.world.load_full();
        let configured = world.config.admin_token.as_ref();
        if let (Some(token), Some(admin)) = (token, configured)
            && same(token, admin.expose().as_bytes())
        {
            return Ok(());
        }
        if let (Some(token), true) = (token, syncs) {
            let server_secret = (self.bell.server_secret)().await?;
            if same(token, secret::sync_token(&server_secret).as_bytes()) {
                return Ok(());
            }
        }
        if configured.is_none() {
            let message =
                "the admin API is not available: no admin token is configured; set [admin] token";
            return Err(Refusal::new(403, "admin_disabled", message));
        }
        let message = "send the admin token: Authorization: Bearer …";
        Err(Refusal::new(401, "unauthorized", message).with("www-authenticate", "Bearer"))
    }
}

fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

/// Compares digests, so that the time tells nothing of where two tokens differ, nor of their lengths.
fn same(a: &[u8], b: &[u8]) -> bool {
    let key = DigestKey::random();
    key.digest(a).same(&key.digest(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_bearer_token() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer  abc "), Some(&b"abc"[..]));
        for wrong in [&b""[..], b"Bearer", b"Bearer ", b"Basic abc", b"abc"] {
            assert_eq!(bearer(wrong), None);
        }
        assert!(same(b"a", b"a") && !same(b"a", b"ab") && !same(b"", b"a"));
    }
}
