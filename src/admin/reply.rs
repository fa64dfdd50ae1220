//! What the admin API answers: a whole body, or pages of one; and every refusal, in one shape.

use schemars::JsonSchema;
use serde::Serialize;

use super::form::{Mistake, Wrong};
use super::requests::CsvPages;
use crate::store::{KeyError, StoreError, Trouble};

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

pub enum Body {
    Whole(Vec<u8>),
    /// Made while it is sent.
    Pages(Box<CsvPages>),
}

impl Reply {
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        Self::whole(
            status,
            "application/json",
            serde_json::to_vec(body).unwrap_or_default(),
        )
    }

    pub fn whole(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: Body::Whole(body),
        }
    }

    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Whole(Vec::new()),
        }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A request that is not done, and why.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    /// The field or parameter that is wrong.
    pub param: Option<String>,
    pub header: Option<(&'static str, String)>,
}

/// The shape of every error.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorBody<'a> {
    error: ErrorDetail<'a>,
}

#[derive(Serialize, JsonSchema)]
struct ErrorDetail<'a> {
    /// A stable word.
    code: &'a str,
    /// For a person.
    message: &'a str,
    /// The field of the body, or the parameter, that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    param: Option<&'a str>,
}

impl Refusal {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            param: None,
            header: None,
        }
    }

    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.header = Some((name, value.into()));
        self
    }

    pub fn name_taken() -> Self {
        let message = "another key has this name; names of keys must differ";
        Self::new(409, "name_taken", message).at("name")
    }

    pub fn no_key() -> Self {
        Self::new(404, "not_found", "there is no key with this id or name")
    }

    pub fn into_reply(self) -> Reply {
        let body = ErrorBody {
            error: ErrorDetail {
                code: self.code,
                message: &self.message,
                param: self.param.as_deref(),
            },
        };
        let mut reply = Reply::json(self.status, &body);
        reply.headers.extend(self.header);
        reply
    }
}

impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        let refusal = Self::new(400, "invalid_request", wrong.message);
        match wrong.param.as_str() {
            // Of the body as a whole.
            "" | "." => refusal,
            param => refusal.at(param),
        }
    }
}

impl From<Mistake> for Refusal {
    fn from(mistake: Mistake) -> Self {
        match mistake {
            Mistake::Json(what) => {
                Self::new(400, "invalid_json", format!("the body is not JSON: {what}"))
            }
            Mistake::Field(wrong) => wrong.into(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let seconds = match error.trouble {
            Trouble::Down | Trouble::Locked => "1",
            Trouble::Full | Trouble::Refused | Trouble::Failed => "30",
        };
        Self::new(503, "store_unavailable", format!("the store: {error}"))
            .with("retry-after", seconds)
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => error.into(),
            KeyError::NameTaken => Self::name_taken(),
            KeyError::NotFound => Self::no_key(),
            KeyError::Conflict => Self::new(
                409,
                "conflict",
                "the key was changed by somebody else meanwhile; send the change again",
            ),
        }
    }
}
