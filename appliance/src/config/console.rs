//! The section `[console]`: operators, and the site that their passkeys are made for.
//!
//! Names and roles are here, and no key: keys are enrolled. Whose approval counts the bundle says. Without operators nobody could
//! log in, so nobody listens.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::{Table, Value};

use super::ConfigError;
use super::reader::{Reader, Section};
use super::sections::text;
use crate::limits::{MAX_CONSOLE_OPERATORS, MAX_OPERATOR_NAME_BYTES};
use crate::operators::limits::MAX_ORIGIN_BYTES;
use crate::passkeys::Role;

/// The word that stands for no listener.
const OFF: &str = "off";
const OPERATOR: &str = "console.operator";
/// Where the console is, unless the configuration says otherwise.
const PORT: u16 = 7745;

/// `[console]`: who operates, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// Where it listens; none: nowhere.
    pub listen: Option<SocketAddr>,
    /// Its certificate; none: the appliance's own.
    pub certificate: Option<PathBuf>,
    /// The key of it.
    pub key: Option<PathBuf>,
    /// Who signs the certificates that browsers must have, beside a passkey; none: they need no certificate.
    pub client_ca: Option<PathBuf>,
    /// The origin of the site, as browsers write it; none: what follows from the appliance's host.
    pub origin: Option<String>,
    /// Each operator; without any nobody logs in.
    pub operators: Vec<ConsoleOperator>,
}

/// `[[console.operator]]`: one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleOperator {
    /// How the log and people know them.
    pub name: String,
    /// What they may do.
    pub roles: Vec<Role>,
}

impl Console {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("console")?;
        let allowed = "an address and a port, such as \"127.0.0.1:7745\", or \"off\"";
        let listen = section.value("listen", "127.0.0.1:7745", allowed, |value| match value.as_str()? {
            OFF => Some(None),
            address => address.parse().ok().map(Some),
        })?;
        let certificate = section.optional_path("certificate")?;
        let key = section.optional_path("key")?;
        let client_ca = section.optional_path("client_ca")?;
        let allowed = "https:// and a host name, with a port where it is not 443; or http://localhost";
        let origin = section.optional("origin", allowed, |value| {
            let text = text(value, MAX_ORIGIN_BYTES, |byte| byte.is_ascii_graphic())?;
            crate::passkeys::is_site(&text).then_some(text)
        })?;
        let tables = section.tables("operator")?;
        section.finish()?;
        let operators = read_operators(reader, tables)?;
        Ok(Self { listen, certificate, key, client_ca, origin, operators })
    }

    /// Whether the site is one of this machine alone, which needs no TLS: browsers take it for secure.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.origin.as_deref().is_some_and(|origin| origin.starts_with("http://"))
    }

    /// The origin of the site, for an appliance of this host.
    pub(super) fn origin(&self, host: &str) -> String {
        self.origin.clone().unwrap_or_else(|| format!("https://{host}:{PORT}"))
    }
}

fn read_operators(reader: &mut Reader<'_>, tables: Vec<Table>) -> Result<Vec<ConsoleOperator>, ConfigError> {
    let mut operators: Vec<ConsoleOperator> = Vec::new();
    for (table, number) in tables.into_iter().zip(1..) {
        let mut section = reader.item(OPERATOR, number, table);
        let operator = read_operator(&mut section)?;
        if operators.iter().any(|other| other.name == operator.name) {
            return Err(section.misfit("name", &operator.name, "a name that no operator before has"));
        }
        if number > MAX_CONSOLE_OPERATORS {
            let allowed = format!("one of at most {MAX_CONSOLE_OPERATORS} operators");
            return Err(section.misfit("name", &operator.name, &allowed));
        }
        section.finish()?;
        operators.push(operator);
    }
    Ok(operators)
}

fn read_operator(section: &mut Section<'_, '_>) -> Result<ConsoleOperator, ConfigError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    let allowed = format!("a name of 1 to {MAX_OPERATOR_NAME_BYTES} letters, digits, dots, @, - and _");
    // Without a default of its own, an absent one is refused with what is allowed.
    let name = section.value("name", "", &allowed, |value| text(value, MAX_OPERATOR_NAME_BYTES, fits))?;
    let labels: Vec<_> = Role::ALL.iter().map(|role| format!("\"{}\"", role.label())).collect();
    let allowed = format!("a list of roles, each once, at least one of {}", labels.join(", "));
    let roles = section.value("roles", Vec::<Value>::new(), &allowed, roles)?;
    Ok(ConsoleOperator { name, roles })
}

fn roles(value: &Value) -> Option<Vec<Role>> {
    let mut roles = Vec::new();
    for role in value.as_array()? {
        let role = Role::from_label(role.as_str()?).filter(|role| !roles.contains(role))?;
        roles.push(role);
    }
    (!roles.is_empty()).then_some(roles)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Origin};

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("/etc/assent/assent.toml"))
    }

    #[test]
    fn operators_have_names_and_roles_and_a_site() {
        let text = "[appliance]\nhost = \"a.example\"\n[[console.operator]]\nname = \"alice\"\nroles = [\"viewer\", \"approver\"]\n[[console.operator]]\nname = \"bob\"\nroles = [\"sre\"]\n";
        let config = parse(text).unwrap();
        let [alice, bob] = config.console.operators.as_slice() else { panic!("two operators") };
        assert_eq!(
            (alice.name.as_str(), alice.roles.as_slice()),
            ("alice", &[Role::Viewer, Role::Approver][..])
        );
        assert_eq!((bob.name.as_str(), bob.roles.as_slice()), ("bob", &[Role::Sre][..]));
        assert_eq!(config.console_origin(), "https://a.example:7745");
        let shown =
            |key: &str| config.effective().iter().find(|setting| setting.key == key).cloned().unwrap();
        assert_eq!(shown("console.operator.2.name").origin, Origin::File { line: 7 });
        assert_eq!(shown("console.origin").value, None);
        let moved = parse("[console]\norigin = \"https://console.example\"\n").unwrap();
        assert_eq!(moved.console_origin(), "https://console.example");
        assert!(parse("").unwrap().console.operators.is_empty());
    }

    #[test]
    fn the_examples_operators_can_be_turned_on() {
        let text: String = Config::EXAMPLE
            .lines()
            .skip_while(|line| *line != "#[[console.operator]]")
            .take_while(|line| line.starts_with('#'))
            .filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')))
            .map(|line| format!("{line}\n"))
            .collect();
        let operators = parse(&text).unwrap().console.operators;
        assert!(
            operators.len() == 2 && operators.iter().all(|operator| !operator.roles.is_empty()),
            "{text}"
        );
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_line() {
        let operator = |lines: &str| format!("[[console.operator]]\n{lines}\n");
        let alice = "name = \"alice\"\nroles = [\"viewer\"]";
        for (text, said) in [
            (operator("roles = [\"viewer\"]"), "`console.operator.1.name` cannot be \"\""),
            (
                operator("name = \"a b\"\nroles = [\"viewer\"]"),
                ":2: `console.operator.1.name` cannot be \"a b\"",
            ),
            (operator("name = \"a\""), "`console.operator.1.roles` cannot be []"),
            (operator("name = \"a\"\nroles = [\"admin\"]"), ":3: `console.operator.1.roles` cannot be"),
            (
                operator("name = \"a\"\nroles = [\"sre\", \"sre\"]"),
                ":3: `console.operator.1.roles` cannot be",
            ),
            (operator(&format!("{alice}\npassword = \"x\"")), ":4: `console.operator.1.password` is unknown"),
            (operator(alice) + &operator(alice), ":5: `console.operator.2.name` cannot be \"alice\""),
            ("[console]\norigin = \"http://a.example\"\n".to_owned(), ":2: `console.origin` cannot be"),
            ("[console]\norigin = \"https://10.0.0.1\"\n".to_owned(), ":2: `console.origin` cannot be"),
            ("[console]\noperator = 1\n".to_owned(), ":2: `console.operator` cannot be 1"),
        ] {
            let refused = parse(&text).expect_err(&text).to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
