//! The configuration against its documentation, and against what people mistype.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Config, ConfigError, Module, Origin, PinSource, Rearm};

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/assent/assent.toml"))
}

fn refusal(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

fn setting(config: &Config, key: &str) -> (Option<String>, Origin) {
    let found = config.effective().iter().find(|setting| setting.key == key).expect(key);
    (found.value.as_ref().map(ToString::to_string), found.origin)
}

#[test]
fn an_empty_file_gives_the_documented_defaults() {
    let config = parse("").unwrap();
    assert_eq!(config.origin(), "localhost/assent/log/1");
    assert_eq!(config.appliance.data, Path::new("/etc/assent/data"));
    assert_eq!(config.agents_path(), Path::new("/etc/assent/data/agents.json"));
    assert_eq!(config.ca_key(), Path::new("/etc/assent/tls/ca.key"));
    assert_eq!(config.hsm.pin, PinSource::File(PathBuf::from("/etc/assent/hsm/pin")));
    assert_eq!(config.hsm.deadline, Duration::from_secs(1));
    assert_eq!((config.hsm.module, config.hsm.allow_simulator), (Module::Simulator, false));
    assert_eq!((config.policy.max_age, config.hsm.rearm), (None, Rearm::Automatic));
    assert!(!config.tls.accept_unregistered);
    assert!(config.listen.http.is_some_and(|address| address.ip().is_loopback()));
    assert!(!config.listen.http_entries && !config.listen.http_status);
    assert_eq!(parse("[listen]\nhttp = \"off\"\n").unwrap().listen.http, None);
}

#[test]
fn the_example_says_what_is_the_default_anyway() {
    let (example, empty) = (parse(Config::EXAMPLE).unwrap(), parse("").unwrap());
    for (said, default) in example.effective().iter().zip(empty.effective()) {
        assert_eq!((&said.key, &said.value), (&default.key, &default.value));
    }
    assert_eq!(example.effective().len(), empty.effective().len());
}

#[test]
fn the_example_names_every_key() {
    let example = parse(Config::EXAMPLE).unwrap();
    for setting in example.effective() {
        let (_, key) = setting.key.split_once('.').unwrap();
        let named = match setting.origin {
            Origin::File { .. } | Origin::Keyring => true,
            Origin::Default => Config::EXAMPLE.lines().any(|line| line.starts_with(&format!("# {key} = "))),
        };
        assert!(named, "{} is not in the example", setting.key);
    }
}

#[test]
fn the_commented_keys_of_the_example_can_be_turned_on() {
    for line in Config::EXAMPLE.lines().filter_map(|line| line.strip_prefix("# ")) {
        if !line.contains(" = \"") {
            continue;
        }
        let mut text = Config::EXAMPLE.replace(&format!("# {line}"), line);
        if line.starts_with("pin_credential") || line.starts_with("pin_source") {
            text = text.replace("pin_file = ", "# pin_file = ");
        }
        if line.starts_with("otlp = ") && !cfg!(feature = "otlp") {
            assert!(refusal(&text).contains("without the feature `otlp`"), "{line}");
            continue;
        }
        parse(&text).expect(line);
    }
}

#[test]
fn unknown_keys_are_refused_with_line_and_alternatives() {
    let said = refusal("[hsm]\ndeadline = \"1s\"\ndeadlin = \"2s\"\n");
    assert!(said.starts_with("/etc/assent/assent.toml:3: `hsm.deadlin` is unknown"), "{said}");
    assert!(said.contains("deadline, heartbeat"), "{said}");
    let said = refusal("\n\n[hms]\n");
    assert!(said.contains(":3: `hms` is unknown") && said.contains("[hsm]"), "{said}");
    let said = refusal("name = \"x\"\n");
    assert!(said.contains(":1: `name` is unknown"), "{said}");
    assert!(refusal("[appliance]\n[appliance.more]\n").contains("`appliance.more` is unknown"));
}

#[test]
fn a_wrong_value_names_key_line_value_and_what_is_allowed() {
    let said = refusal("[appliance]\n\n[hsm]\ndeadline = \"fast\"\n");
    assert_eq!(
        said,
        "/etc/assent/assent.toml:4: `hsm.deadline` cannot be \"fast\"; it is a duration from \"1ms\" to \"1m\", \
         with its unit: ms, s, m, h or d"
    );
}

#[test]
fn values_out_of_bounds_are_refused() {
    let cases = [
        ("appliance", "name = \"\""),
        ("appliance", "name = \"a/b\""),
        ("appliance", "host = \"UPPER\""),
        ("appliance", "host = \"a..b\""),
        ("appliance", "log = 0"),
        ("appliance", "log = -1"),
        ("appliance", "log = \"1\""),
        ("appliance", "data = \"\""),
        ("listen", "quic = \"7743\""),
        ("listen", "quic = \"localhost:7743\""),
        ("listen", "http = \"on\""),
        ("listen", "http = \"localhost:7744\""),
        ("listen", "http_entries = \"yes\""),
        ("tls", "trust_domain = \"Assent\""),
        ("tls", "accept_unregistered = \"yes\""),
        ("hsm", "key_id = \"1\""),
        ("hsm", "key_id = \"zz\""),
        ("hsm", "key_id = \"\""),
        ("hsm", "slot_label = \"0123456789012345678901234567890123\""),
        ("hsm", "deadline = 1"),
        ("hsm", "deadline = \"0s\""),
        ("hsm", "deadline = \"2m\""),
        ("hsm", "rearm = \"auto\""),
        ("hsm", "rearm_probes = 0"),
        ("hsm", "pin_credential = \"../pin\""),
        ("hsm", "pin_source = \"|/usr/bin/pin\""),
        ("hsm", "pin_source = \"pin\""),
        ("hsm", "pin_source = 1"),
        ("hsm", "environment = \"A=B\""),
        ("hsm", "environment = { A = 1 }"),
        ("policy", "max_age = \"0s\""),
        ("policy", "watch = \"yes\""),
        ("policy", "poll = \"1ms\""),
        ("policy", "budget = 0"),
        ("policy", "deadline = \"2m\""),
        ("policy", "signers = []"),
        ("policy", "signers = [\"ssh-ed25519 AAAA\"]"),
        ("policy", "signers = 1"),
        ("policy", "threshold = 0"),
        ("policy", "threshold = 65"),
        ("policy", "shadow = \"\""),
        ("round", "entries_max = 0"),
        ("round", "entries_max = 16385"),
        ("witness", "ask = \"w\""),
        ("witness", "ask = [\"w http://127.0.0.1:7744\"]"),
        ("witness", "interval = \"1ms\""),
        ("witnessing", "logs = [1]"),
        ("witnessing", "logs = [\"log\"]"),
        ("break_glass", "review_within = \"10ms\""),
        ("break_glass", "review_within = \"31d\""),
        ("quota", "streams_per_connection = 129"),
        ("quota", "unread_per_connection = \"17MiB\""),
        ("quota", "unread_per_connection = \"1KiB\""),
        ("quota", "idle_timeout = \"100ms\""),
    ];
    for (section, line) in cases {
        let said = refusal(&format!("[{section}]\n{line}\n"));
        let key = line.split(' ').next().unwrap();
        assert!(said.contains(&format!("{section}.{key}")) && said.contains("; it is "), "{line}: {said}");
        assert!(said.contains(":2: "), "{line}: {said}");
    }
}

#[test]
fn a_wrong_variable_of_the_environment_is_named() {
    let said = refusal("[hsm.environment]\nA = \"1\"\nB = 2\n");
    assert!(said.contains(":3: `hsm.environment.B` cannot be 2; it is a text"), "{said}");
}

#[test]
fn a_pin_is_in_one_place() {
    let config = parse("[hsm]\npin_credential = \"hsm-pin\"\n").unwrap();
    assert_eq!(config.hsm.pin, PinSource::Credential("hsm-pin".to_owned()));
    assert_eq!(setting(&config, "hsm.pin_file"), (None, Origin::Default));
    let said = refusal("[hsm]\npin_file = \"pin\"\npin_credential = \"hsm-pin\"\n");
    assert!(said.contains(":3: `hsm.pin_credential` cannot stand beside `hsm.pin_file`"), "{said}");
}

#[test]
fn a_pin_source_names_a_file_and_stands_alone() {
    let config = parse("[hsm]\npin_source = \"file:///run/keys/pin\"\n").unwrap();
    assert_eq!(config.hsm.pin, PinSource::File(PathBuf::from("/run/keys/pin")));
    let said = refusal("[hsm]\npin_source = \"|pin-tool\"\n");
    assert!(said.contains(":2: `hsm.pin_source` cannot be") && said.contains("never run"), "{said}");
    for (first, second) in [("pin_file", "pin_source"), ("pin_credential", "pin_source")] {
        let said = refusal(&format!("[hsm]\n{first} = \"/pin\"\n{second} = \"/pin\"\n"));
        assert!(said.contains(&format!(":3: `hsm.{second}` cannot stand beside `hsm.{first}`")), "{said}");
    }
}

#[test]
fn more_signatures_than_there_are_keys_cannot_be_asked_for() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti alice";
    let one = parse(&format!("[policy]\nsigners = [\"{key}\"]\n")).unwrap();
    let quorum = one.policy.quorum().unwrap().unwrap();
    assert_eq!((quorum.threshold(), quorum.keys()[0].name()), (1, "alice"));
    let said = refusal(&format!("[policy]\nsigners = [\"{key}\"]\nthreshold = 2\n"));
    assert!(said.contains(":3: `policy.threshold` cannot be") && said.contains("1 keys"), "{said}");
    assert!(parse("").unwrap().policy.quorum().unwrap().is_none());
}

#[test]
fn a_pin_itself_has_no_key() {
    assert!(refusal("[hsm]\npin = \"1234\"\n").contains("`hsm.pin` is unknown"));
}

#[test]
fn broken_toml_names_its_line() {
    let said = refusal("[hsm]\ndeadline = \n");
    assert!(said.starts_with("/etc/assent/assent.toml:2: no TOML: "), "{said}");
    assert!(refusal("[hsm]\nkey_id = \"01\"\nkey_id = \"02\"\n").contains(":3: no TOML"));
}

#[test]
fn each_value_says_where_it_came_from() {
    let text =
        "[hsm]\nmodule = \"lib/module.so\"\n\n[tls]\nca = \"/pki/ca.pem\"\n[hsm.environment]\nA = \"1\"\n";
    let config = parse(text).unwrap();
    let path = Some("\"/etc/assent/lib/module.so\"".to_owned());
    assert_eq!(setting(&config, "hsm.module"), (path, Origin::File { line: 2 }));
    assert_eq!(setting(&config, "tls.ca"), (Some("\"/pki/ca.pem\"".to_owned()), Origin::File { line: 5 }));
    assert_eq!(setting(&config, "hsm.environment").1, Origin::File { line: 6 });
    assert_eq!(setting(&config, "policy.max_age"), (None, Origin::Default));
    assert_eq!(config.hsm.module, Module::File(PathBuf::from("/etc/assent/lib/module.so")));
}

#[test]
fn a_long_value_is_cut_in_the_error() {
    let said = refusal(&format!("[listen]\nquic = \"{}\"\n", "x".repeat(10_000)));
    assert!(said.len() < 400 && said.contains("..."), "{} bytes", said.len());
}

#[test]
fn a_missing_file_says_how_to_make_one() {
    let said = Config::load(Path::new("/nonexistent/assent.toml")).unwrap_err().to_string();
    assert!(said.contains("/nonexistent/assent.toml") && said.contains("`assent init`"), "{said}");
}

#[test]
fn a_loaded_file_is_read_like_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assent.toml");
    std::fs::write(&path, Config::EXAMPLE).unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(config.appliance.data, folder.path().join("data"));
    std::fs::write(&path, "#".repeat(2 << 20)).unwrap();
    assert!(matches!(Config::load(&path), Err(ConfigError::TooLong { .. })));
}

#[test]
fn a_witness_is_asked_by_its_own_kind_of_key_and_named_once() {
    let witness = "w.test/1+f4e8a9b2+BAAA";
    assert!(refusal(&format!("[witness]\nask = [\"{witness} http://w\"]\n")).contains("; it is a list"));
    let key = crate::witness::tests::key("w.test/1");
    let vkey = key.verifier_key().unwrap().to_string();
    let ask = |items: &str| parse(&format!("[witness]\nask = [{items}]\n"));
    let one = format!("\"{vkey} https://w.test/witness\"");
    let expected = (vkey.clone(), "https://w.test/witness".to_owned());
    assert_eq!(ask(&one).unwrap().witness.ask, [expected]);
    for bad in [
        format!("{one}, {one}"),
        format!("\"{vkey}\""),
        format!("\"{vkey} ftp://w\""),
        format!("\"{vkey} http://w?a\""),
    ] {
        assert!(ask(&bad).is_err(), "{bad}");
    }
    // A witness's key is no log's, and the reverse.
    assert!(parse(&format!("[witnessing]\nlogs = [\"{vkey}\"]\n")).is_err());
}
