use super::*;

const GOOD: &str = r#"
[server]
listen = ["127.0.0.1:8080"]
[[channels]]
name = "a"
platform = "openai"
api_key = { value = "sk-up" }
models = ["gpt-5*"]
[[groups]]
name = "default"
channels = [{ name = "a", priority = 5 }]
aliases = { fast = "gpt-5-mini" }
[[keys]]
name = "ci"
group = "default"
secret = { value = "sk-ci" }
allow = ["10.0.0.0/8", "::1"]
expires = "2027-01-01T00:00:00Z"
rpm = 600
tpm = 0
"#;

#[test]
fn a_good_config_resolves_names_and_defaults() {
    let (config, report) = parse("t.toml", GOOD);
    assert_eq!(report.mistakes(), "");
    let config = config.expect("valid");
    assert_eq!(config.server.body_limit, 64 << 20);
    assert_eq!(config.channels[0].base.host, "api.openai.com");
    assert_eq!(config.groups[0].channels[0].priority, 5);
    assert_eq!(config.keys[0].group, 0);
    assert_eq!(report.notes(), "");
    assert_eq!(config.keys[0].limits.rpm, 600);
}

#[test]
fn limits_of_keys_are_exact_and_never_negative() {
    let with = |line: &str| parse("t.toml", &GOOD.replace("rpm = 600", line));
    let (config, report) = with("spend_usd_5h = 0.1\nrp7d = 5\nspend_usd_30d = 12");
    assert_eq!(report.mistakes(), "");
    let limits = config.expect("valid").keys[0].limits;
    assert_eq!(limits.spend_usd_5h.to_string(), "0.1");
    assert_eq!(
        (limits.rp7d, limits.spend_usd_30d.to_string()),
        (5, "12".into())
    );
    for (line, expected) in [
        ("rpm = -1", "keys[0].rpm must"),
        ("rpm = 1.5", "keys[0].rpm must"),
        (
            "spend_usd = -0.5",
            "keys[0].spend_usd must be an amount in USD",
        ),
        (
            "spend_usd = nan",
            "keys[0].spend_usd must be an amount in USD",
        ),
        (
            "spend_usd = \"5\"",
            "keys[0].spend_usd must be an amount in USD",
        ),
        (
            "spend_usd = 1e10",
            "keys[0].spend_usd must be an amount in USD",
        ),
    ] {
        let (config, report) = with(line);
        assert!(config.is_none(), "{line}");
        assert!(
            report.mistakes().contains(expected),
            "{line}: {}",
            report.mistakes()
        );
    }
}

#[test]
fn limits_are_counted_here_or_in_redis() {
    let (config, _) = parse("t.toml", GOOD);
    assert!(config.expect("valid").limits.redis.is_none());
    let section = "[limits]\nurl = \"redis://:hidden@h:1\"\non_failure = \"deny\"\n";
    let (config, report) = parse("t.toml", &format!("{section}{GOOD}"));
    assert_eq!(report.mistakes(), "");
    let limits = config.expect("valid").limits;
    assert_eq!(limits.on_failure, OnFailure::Deny);
    assert!(limits.redis.is_some() && !format!("{limits:?}").contains("hidden"));
    for (line, expected) in [
        ("url = \"http://hidden\"", "limits.url must be \"memory:\""),
        ("url = \"redis://:hidden@\"", "limits.url has no host"),
        ("on_failure = \"allow\"", "limits.on_failure"),
    ] {
        let (config, report) = parse("t.toml", &format!("[limits]\n{line}\n{GOOD}"));
        assert!(config.is_none(), "{line}");
        assert!(
            report.mistakes().contains(expected),
            "{}",
            report.mistakes()
        );
        assert!(!report.mistakes().contains("hidden"));
    }
}

#[test]
fn models_without_chat_are_those_of_the_platform_unless_the_channel_says() {
    let with = |line: &str| GOOD.replace("models = [", &format!("{line}\nmodels = ["));
    let only = |text: &str, model: &str| {
        let (config, report) = parse("t.toml", text);
        assert_eq!(report.mistakes(), "");
        config.expect("valid").channels[0].is_responses_only(model)
    };
    for model in [
        "o1-pro",
        "o3-pro-2025-06-10",
        "gpt-5-pro",
        "gpt-5.2-pro",
        "gpt-5.1-codex-max",
        "codex-mini-latest",
        "o4-mini-deep-research",
        "computer-use-preview",
    ] {
        assert!(only(GOOD, model), "{model}");
    }
    for model in [
        "gpt-5",
        "gpt-5-mini",
        "gpt-5.2-chat-latest",
        "o3",
        "gpt-4o-search-preview",
    ] {
        assert!(!only(GOOD, model), "{model}");
    }
    assert!(only(&with("responses_only = [\"new-*\"]"), "new-1"));
    assert!(!only(&with("responses_only = []"), "o1-pro"));
    let gemini = with("responses_only = [\"x\"]").replace("\"openai\"", "\"gemini\"");
    let (_, report) = parse("t.toml", &gemini);
    assert!(
        report
            .mistakes()
            .contains("responses_only: platform \"gemini\" has no /v1/responses"),
        "{}",
        report.mistakes()
    );
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = r#"[server]
listen = ["nowhere"]
threds = 2
[[channels]]
name = "a"
platform = "opnai"
weight = "3"
[[groups]]
name = "default"
channels = ["b"]
[[keys]]
name = "ci"
group = "defalt"
secret = "sk-plain"
"#;
    let (config, report) = parse("t.toml", text);
    assert!(config.is_none());
    let expected = [
        "t.toml:2:11: server.listen: \"nowhere\" is not an address like \"127.0.0.1:8080\" or \"[::]:8080\"",
        "t.toml:3:1: server.threds is not known; did you mean \"threads\"?",
        "t.toml:6:12: channels[0].platform: \"opnai\" is not known; known: \"openai\", \"anthropic\", \"gemini\", \"openrouter\", \"openai-compatible\"",
        "t.toml:7:10: channels[0].weight must be an integer, not a string",
        "t.toml:10:13: group \"default\": channel \"b\" is not defined; defined: \"a\"",
        "t.toml:13:9: key \"ci\": group \"defalt\" is not defined; defined: \"default\"",
        "t.toml:14:10: keys[0].secret must be { env = \"NAME\" } or { file = \"PATH\" }: secrets do not stand in the file",
    ];
    assert_eq!(report.mistakes().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn broken_toml_is_told_with_its_place() {
    let (config, report) = parse("t.toml", "[server\nlisten = 1\n");
    assert!(config.is_none());
    assert!(
        report.mistakes().starts_with("t.toml:1:8: "),
        "{}",
        report.mistakes()
    );
}

#[test]
fn a_secret_that_is_not_there_is_named_but_never_shown() {
    let text = GOOD.replace("{ value = \"sk-up\" }", "{ env = \"TOROUTER_TEST_UNSET\" }");
    let (config, report) = parse("t.toml", &text);
    assert!(config.is_none());
    assert!(
        report.mistakes().contains("TOROUTER_TEST_UNSET is not set"),
        "{}",
        report.mistakes()
    );
    let twice = GOOD.replace(
        "{ value = \"sk-ci\" }",
        "{ value = \"sk-ci\", env = \"HOME\" }",
    );
    let (_, report) = parse("t.toml", &twice);
    assert!(
        report
            .mistakes()
            .contains("exactly one of env, file or value")
    );
    assert!(!report.mistakes().contains("sk-ci"));
}

#[test]
fn the_store_has_defaults_and_takes_a_url_or_a_secret() {
    let (config, _) = parse("t.toml", GOOD);
    let store = config.expect("valid").store;
    assert!(!store.configured);
    assert_eq!(store.url.expose(), "sqlite:/var/lib/torouter/torouter.db");
    assert_eq!(store.responses_ttl, Duration::from_secs(30 * 86_400));
    assert_eq!(store.responses_max_bytes, 10 << 30);
    assert_eq!(store.usage_ttl, Duration::from_secs(90 * 86_400));
    assert!(store.key_secret.is_none() && store.spool.is_none());
    assert_eq!(store.spool_max_bytes, 1 << 30);
    for url in [
        "\"postgres://u:hidden@h/d\"",
        "{ value = \"postgres://u:hidden@h/d\" }",
    ] {
        let section = format!(
            "[store]\nurl = {url}\nresponses_ttl = \"12h\"\nresponses_max_bytes = \"1MiB\"\nusage_ttl = \"0s\"\nkey_secret = {{ value = \"hidden-and-32-bytes-long-at-least\" }}\nspool = \"/s/p\"\nspool_max_bytes = \"2MiB\"\n{GOOD}"
        );
        let (config, report) = parse("t.toml", &section);
        assert_eq!(report.mistakes(), "");
        let store = config.expect("valid").store;
        assert!(store.configured);
        assert_eq!(store.url.expose(), "postgres://u:hidden@h/d");
        assert_eq!(store.responses_ttl, Duration::from_secs(43_200));
        assert_eq!(store.responses_max_bytes, 1 << 20);
        assert_eq!(store.usage_ttl, Duration::ZERO);
        let secret = store.key_secret.as_ref().expect("a secret");
        assert_eq!(secret.expose(), "hidden-and-32-bytes-long-at-least");
        assert_eq!(store.spool.as_deref(), Some(std::path::Path::new("/s/p")));
        assert_eq!(store.spool_max_bytes, 2 << 20);
        assert!(!format!("{store:?}").contains("hidden"));
    }
}

#[test]
fn mistakes_of_the_store_have_their_places_and_hide_the_url() {
    for (line, expected) in [
        (
            "url = \"mysql://u:hidden@h/d\"",
            "t.toml:2:7: store.url must begin with \"sqlite:\", \"postgres://\" or \"postgresql://\"",
        ),
        (
            "url = { value = \"redis://hidden\" }",
            "t.toml:2:7: store.url must begin with \"sqlite:\", \"postgres://\" or \"postgresql://\"",
        ),
        (
            "url = \"sqlite:a.db?mode=rwc\"",
            "t.toml:2:7: store.url must be \"sqlite:PATH\" without parameters",
        ),
        (
            "url = 5",
            "t.toml:2:7: store.url must be a string, { env = \"NAME\" } or { file = \"PATH\" }, not an integer",
        ),
        (
            "responses_ttl = \"0s\"",
            "t.toml:2:17: store.responses_ttl must be from \"1s\" to \"36500d\"",
        ),
        (
            "responses_max_bytes = \"10\"",
            "t.toml:2:23: store.responses_max_bytes: \"10\" is not a size like \"10GiB\"",
        ),
        (
            "usage_ttl = \"59m\"",
            "t.toml:2:13: store.usage_ttl must be from \"1h\" to \"36500d\", or \"0s\": for ever",
        ),
        (
            "key_secret = { value = \"hidden, but too short a one\" }",
            "t.toml:2:14: store.key_secret is too short: at least 32 bytes, as `openssl rand -hex 32` makes them",
        ),
        (
            "key_secret = \"hidden-and-32-bytes-long-at-least\"",
            "t.toml:2:14: store.key_secret must be { env = \"NAME\" } or { file = \"PATH\" }: secrets do not stand in the file",
        ),
        (
            "spool = \"\"",
            "t.toml:2:9: store.spool is empty; write a path, or leave it out",
        ),
        (
            "spool_max_bytes = \"5\"",
            "t.toml:2:19: store.spool_max_bytes: \"5\" is not a size like \"1GiB\"",
        ),
        (
            "responses_tll = \"1d\"",
            "t.toml:2:1: store.responses_tll is not known; did you mean \"responses_ttl\"?",
        ),
    ] {
        let (config, report) = parse("t.toml", &format!("[store]\n{line}\n{GOOD}"));
        assert!(config.is_none(), "{line}");
        assert_eq!(report.mistakes().trim_end(), expected);
    }
}

#[test]
fn commands_need_no_secret_but_those_of_the_store_and_the_limits() {
    let away = r#"{ env = "TOROUTER_TEST_UNSET_VARIABLE" }"#;
    let file = r#"{ file = "/nonexistent/secret" }"#;
    let text = GOOD
        .replace(r#"{ value = "sk-up" }"#, file)
        .replace(r#"{ value = "sk-ci" }"#, away);
    let text = format!(
        "{text}[[keys]]\nname = \"other\"\ngroup = \"default\"\nsecret = {away}\n[admin]\ntoken = {away}\n"
    );
    let (config, report) = parse_for_commands("t.toml", &text);
    assert_eq!(report.mistakes(), "");
    assert_eq!(config.expect("valid").keys.len(), 2);
    let (config, report) = parse("t.toml", &text);
    assert!(config.is_none());
    assert_eq!(
        report.mistakes().lines().count(),
        4,
        "{}",
        report.mistakes()
    );

    for section in [
        format!("[store]\nurl = {away}\n"),
        format!("[store]\nkey_secret = {away}\n"),
        format!("[limits]\nurl = {file}\n"),
        // What is written wrongly is wrong wherever it is read.
        "[admin]\ntoken = { value = \"\" }\n".to_owned(),
        "[admin]\ntoken = {}\n".to_owned(),
        "[admin]\ntoken = \"plain\"\n".to_owned(),
    ] {
        let (config, report) = parse_for_commands("t.toml", &format!("{GOOD}{section}"));
        assert!(config.is_none(), "{section}");
        assert_eq!(report.mistakes().lines().count(), 1, "{section}");
    }
}
