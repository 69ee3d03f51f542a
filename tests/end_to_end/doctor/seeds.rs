//! The seeds: each is one change of a healthy folder, what `doctor` is to find of it, and what it is to name.

use std::any::Any;
use std::net::{TcpListener, UdpSocket};

use appliance::identity::{CertificateAuthority, TrustDomain};

use super::Copy;
use crate::support::agent::now;
use crate::support::keygen;

/// One misconfiguration.
pub(crate) struct Seed {
    pub(crate) name: &'static str,
    /// Which check finds it, and how that comes out.
    pub(crate) check: &'static str,
    pub(crate) outcome: &'static str,
    /// What it says of what it found, and of what is next.
    pub(crate) found: &'static str,
    pub(crate) next: &'static str,
    /// Makes it; what it gives back is kept until `doctor` has ended.
    pub(crate) sow: fn(&Copy) -> Option<Box<dyn Any>>,
}

const CONFIG: &str = "assent.toml";

/// A seed that is made and stays.
macro_rules! seed {
    ($name:literal, $check:literal, $outcome:literal, $found:literal, $next:literal, |$copy:ident| $sow:expr) => {
        Seed {
            name: $name,
            check: $check,
            outcome: $outcome,
            found: $found,
            next: $next,
            sow: |$copy| {
                $sow;
                None
            },
        }
    };
}

/// A key with which an operator would sign.
fn operator(copy: &Copy) -> String {
    keygen(copy.path(), &["-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", "ann"]);
    std::fs::read_to_string(copy.path().join("ann.pub")).expect("a key").trim().to_owned()
}

/// Bundles are to be signed from now on.
fn demand_signatures(copy: &Copy) {
    let line = operator(copy);
    copy.append(CONFIG, &format!("[policy]\nsigners = [{line:?}]\n"));
}

fn new_slot(copy: &Copy) {
    copy.remove("hsm/simulator");
    std::fs::create_dir(copy.path().join("hsm/simulator")).expect("a folder");
    let [so_pin, pin] = ["hsm/so-pin", "hsm/pin"].map(|pin| copy.path().join(pin).display().to_string());
    copy.run(&["hsm", "init", "--slot-label", "assent-dev", "--so-pin-file", &so_pin, "--pin-file", &pin]);
}

/// The port in a line of the configuration.
fn port(copy: &Copy) -> u16 {
    let text = std::fs::read_to_string(copy.path().join(CONFIG)).expect("the configuration");
    let line = text.lines().find(|line| line.starts_with("quic = ")).expect("a port");
    line.trim_end_matches('"').rsplit(':').next().and_then(|port| port.parse().ok()).expect("a number")
}

/// A console with an operator, of these settings.
fn console(copy: &Copy, settings: &str) {
    let operator = "[[console.operator]]\nname = \"eve\"\nroles = [\"viewer\"]\n";
    copy.edit(CONFIG, "[console]\nlisten = \"off\"\n", &format!("[console]\n{settings}\n{operator}"));
}

/// A site that the appliance's own certificate is for, at a port that nobody has.
const SITE: &str = "listen = \"127.0.0.1:0\"\norigin = \"https://localhost:7745\"";

const _: () = assert!(SEEDS.len() >= 40, "as many as the README says");

/// Every one.
#[rustfmt::skip]
pub(crate) const SEEDS: &[Seed] = &[
    // Configuration.
    seed!("a key that nobody knows", "configuration", "fail", "`log.lowwater` is unknown", "config check",
        |copy| copy.append(CONFIG, "[log]\nlowwater = \"1MiB\"\n")),
    seed!("a value without a unit", "configuration", "fail", "`hsm.deadline` cannot be", "config check",
        |copy| copy.edit(CONFIG, "[hsm]\n", "[hsm]\ndeadline = \"5\"\n")),
    seed!("the number of a log that was succeeded", "log number", "fail", "log 2 lies beside log 1", "set `appliance.log`",
        |copy| copy.write("data/log-2.redb", "")),
    // Files.
    seed!("a PIN that others can read", "PIN file", "fail", "others can open", "chmod 0600",
        |copy| copy.chmod("hsm/pin", 0o644)),
    seed!("no PIN", "PIN", "fail", "cannot read the PIN", "hsm.pin_file",
        |copy| copy.remove("hsm/pin")),
    seed!("a data folder that others look into", "data folder", "fail", "mode 0755", "chmod 0700",
        |copy| copy.chmod("data", 0o755)),
    seed!("a key of the CA that others can read", "CA key", "fail", "mode 0644", "chmod 0600",
        |copy| copy.chmod("tls/ca.key", 0o644)),
    seed!("a server key that the group can read", "server key", "fail", "mode 0640", "chmod 0600",
        |copy| copy.chmod("tls/server.key", 0o640)),
    seed!("a list of operators that is not there", "operators", "fail", "operators", "hsm.operators",
        |copy| copy.edit(CONFIG, "[hsm]\n", "[hsm]\noperators = \"operators\"\n")),
    seed!("a witness without a key", "witness key", "fail", "witness", "`assent witness init`",
        |copy| {
            let status = std::fs::read_to_string(copy.path().join("data/log-1.keys.toml")).expect("the ring");
            let vkey = status.lines().find_map(|line| line.split('"').find(|text| text.starts_with("localhost/") && text.contains('+')));
            copy.append(CONFIG, &format!("[witnessing]\nlogs = [{:?}]\n", vkey.expect("a verifier key")));
        }),
    // Certificates.
    seed!("the certificate of another CA", "certificate holds", "fail", "not signed by the CA", "`assent init` issues",
        |copy| {
            let (other, domain) = (tempfile::tempdir().expect("a folder"), TrustDomain::parse("assent.test").expect("a domain"));
            let ca = other.path().join("ca.pem");
            CertificateAuthority::create(&ca, &ca.with_extension("key"), &domain, now()).expect("a CA");
            std::fs::copy(ca, copy.path().join("tls/ca.pem")).expect("a copy");
        }),
    seed!("the key of somebody else", "certificate and key", "fail", "do not go together", "`assent init` issues",
        |copy| { std::fs::copy(copy.path().join("agents/retail-support.key"), copy.path().join("tls/server.key")).expect("a copy"); }),
    seed!("a certificate that is not there", "certificate", "fail", "cannot read", "`assent init` issues",
        |copy| copy.remove("tls/server.pem")),
    seed!("a host that the certificate does not name", "certificate holds", "fail", "does not name `elsewhere.example`", "`assent init` issues",
        |copy| copy.edit(CONFIG, "name = \"dev\"\n", "name = \"dev\"\nhost = \"elsewhere.example\"\n")),
    seed!("another trust domain", "trust domain", "fail", "`tls.trust_domain` is `other.test`", "trust_domain",
        |copy| copy.append(CONFIG, "[tls]\ntrust_domain = \"other.test\"\n")),
    seed!("agents of another trust domain", "agents", "fail", "1 of 1 are of another trust domain", "enroll them again",
        |copy| copy.append(CONFIG, "[tls]\ntrust_domain = \"other.test\"\n")),
    seed!("a register of agents that is none", "agents", "fail", "no register of agents", "put the last good register back",
        |copy| copy.write("data/agents.json", "{}")),
    // Bundle.
    seed!("a policy that is none", "bundle", "fail", "policies", "`assent policy check",
        |copy| copy.append("bundle/policies/orders.cedar", "permit (principal, action")),
    seed!("a bundle that costs more than it may", "bundle", "fail", "budget", "raise policy.budget",
        |copy| copy.append(CONFIG, "[policy]\nbudget = 1000\n")),
    seed!("a bundle without a version that must be signed", "bundle", "fail", "version", "`version = N`",
        |copy| demand_signatures(copy)),
    seed!("a bundle that nobody signed", "bundle signatures", "fail", "sign", "`assent policy statement`",
        |copy| { demand_signatures(copy); copy.write("bundle/bundle.toml", "version = 1\n"); }),
    seed!("approvals that nobody can give", "bundle", "fail", "approvals by 1 of nobody", "`operators.toml`",
        |copy| {
            let facts = "assent: { now: datetime, risk: Long, approvals: Long, degraded: Bool, agent_rate: Long, epoch: Long },";
            copy.edit("bundle/catalog.cedarschema", "summary: String,", &format!("summary: String, {facts}"));
            copy.append("bundle/policies/orders.cedar", "@id(\"held\")\n@approval(\"1 of nobody\")\nforbid (principal, action == Retail::Action::\"transfer_to_human_agents\", resource)\nunless { context.assent.approvals >= 1 };\n");
        }),
    seed!("a bundle that is too old between two looks", "bundle age", "fail", "every 10s", "raise `policy.max_age`",
        |copy| copy.append(CONFIG, "[policy]\nmax_age = \"5s\"\npoll = \"10s\"\n")),
    seed!("a bundle that nothing confirms", "bundle age", "warn", "`policy.watch` is off", "`policy.watch = true`",
        |copy| copy.append(CONFIG, "[policy]\nmax_age = \"1h\"\nwatch = false\n")),
    // People.
    seed!("a sink's secret that others can read", "sink page", "fail", "others can open", "chmod 0600",
        |copy| {
            copy.write("hook", "https://hooks.example/a\n");
            copy.chmod("hook", 0o644);
            copy.append(CONFIG, "[[escalation.sink]]\nname = \"page\"\nkind = \"slack\"\nsecret_file = \"hook\"\n");
        }),
    seed!("a sink's secret that is not there", "sink page", "fail", "cannot read the secret", "chmod 0600",
        |copy| copy.append(CONFIG, "[[escalation.sink]]\nname = \"page\"\nkind = \"slack\"\nsecret_file = \"hook\"\n")),
    seed!("a sink's program that is not there", "sink run", "fail", "no program that can be run", "correct `command`",
        |copy| copy.append(CONFIG, "[[escalation.sink]]\nname = \"run\"\nkind = \"command\"\ncommand = [\"nowhere\"]\n")),
    // Log and fence.
    seed!("no fence", "fence", "fail", "is missing", "restore it",
        |copy| copy.remove("fence/checkpoint")),
    seed!("a fence that is none", "fence", "fail", "no signed checkpoint of this log", "from one backup",
        |copy| copy.write("fence/checkpoint", "localhost/dev/log/1\n")),
    seed!("an older log", "fence", "fail", "and the log ends at", "`assent log succeed`",
        |copy| { std::fs::copy(&copy.older, copy.path().join("data/log-1.redb")).expect("a copy"); }),
    seed!("a log that is none", "log", "fail", "log-1.redb", "backup",
        |copy| copy.write("data/log-1.redb", "no log")),
    seed!("no log", "log", "fail", "there is no log", "`assent init`",
        |copy| copy.remove("data/log-1.redb")),
    seed!("no key ring", "key ring", "fail", "no key is pinned", "`assent hsm init`",
        |copy| copy.remove("data/log-1.keys.toml")),
    // Network.
    Seed { name: "a port that somebody else has", check: "port for agents", outcome: "fail", found: "cannot be had", next: "`ss -ulpn`",
        sow: |copy| Some(Box::new(UdpSocket::bind(("127.0.0.1", port(copy))).expect("the port"))) },
    Seed { name: "a port for readers that somebody else has", check: "port for readers", outcome: "fail", found: "cannot be had", next: "`ss -tlpn`",
        sow: |copy| {
            let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = taken.local_addr().expect("an address");
            copy.edit(CONFIG, "http = \"127.0.0.1:0\"", &format!("http = \"{address}\""));
            Some(Box::new(taken))
        } },
    seed!("an address of another machine", "port for agents", "fail", "cannot be had", "an address of this machine",
        |copy| { let port = port(copy); copy.edit(CONFIG, &format!("127.0.0.1:{port}"), "192.0.2.1:7743"); }),
    // The console.
    seed!("a certificate of the console that is not there", "console's door", "fail", "cannot read", "`console.certificate`",
        |copy| console(copy, &format!("{SITE}\ncertificate = \"console.pem\"\nkey = \"console.key\""))),
    seed!("a key of the console that is the server's", "console's door", "fail", "do not go together", "`console.certificate` and `tls.key`",
        |copy| {
            std::fs::copy(copy.path().join("agents/retail-support.pem"), copy.path().join("console.pem")).expect("a copy");
            console(copy, &format!("{SITE}\ncertificate = \"console.pem\""));
        }),
    seed!("an authority of browsers that is not there", "console's door", "fail", "cannot read", "`console.client_ca`",
        |copy| console(copy, &format!("{SITE}\nclient_ca = \"browsers.pem\""))),
    seed!("a site of this machine that others reach", "console's origin", "fail", "is of this machine alone", "listen on the loopback address",
        |copy| console(copy, "listen = \"0.0.0.0:0\"\norigin = \"http://localhost:7745\"")),
    seed!("a site whose name is an address", "console's origin", "fail", "no passkey can be made", "a host name",
        |copy| { copy.edit(CONFIG, "name = \"dev\"\n", "name = \"dev\"\nhost = \"127.0.0.1\"\n"); console(copy, "listen = \"127.0.0.1:0\""); }),
    seed!("a site that the certificate does not name", "console's certificate", "warn", "does not name `console.example`", "`tls.certificate` issued for that host",
        |copy| console(copy, "listen = \"127.0.0.1:0\"\norigin = \"https://console.example\"")),
    Seed { name: "a port for operators that somebody else has", check: "port for operators", outcome: "fail", found: "cannot be had", next: "`console.listen`",
        sow: |copy| {
            let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = taken.local_addr().expect("an address");
            console(copy, &format!("listen = \"{address}\"\norigin = \"http://localhost:{}\"", address.port()));
            Some(Box::new(taken))
        } },
    // The HSM.
    seed!("a module that is not there", "HSM: module loads", "fail", "no PKCS#11 module there", "correct the module's path",
        |copy| copy.edit(CONFIG, "module = \"simulator\"", "module = \"nowhere.so\"")),
    seed!("a module that is none", "HSM: module loads", "fail", "no PKCS#11 module that can be loaded", "the vendor's PKCS#11 library",
        |copy| copy.edit(CONFIG, "module = \"simulator\"", "module = \"assent.toml\"")),
    seed!("a slot of another label", "HSM: slot is there", "fail", "no slot with that label", "`assent hsm list`",
        |copy| copy.edit(CONFIG, "slot_label = \"assent-dev\"", "slot_label = \"other\"")),
    seed!("another HSM than the pinned one", "HSM: slot is there", "fail", "another serial number", "find out who changed the HSM",
        |copy| copy.edit(CONFIG, "[hsm]\n", "[hsm]\nslot_serial = \"0000\"\n")),
    seed!("a simulator where none is allowed", "HSM: not a simulator", "fail", "the module is a simulator", "use a real HSM",
        |copy| copy.edit(CONFIG, "allow_simulator = true\n", "")),
    seed!("a wrong PIN", "HSM: login", "fail", "it was tried once", "correct the PIN",
        |copy| copy.write("hsm/pin", "0000000000000000\n")),
    seed!("an HSM without the key", "HSM: one key has the id", "fail", "no private Ed25519 key with that id", "`assent keys list`",
        |copy| new_slot(copy)),
    seed!("an HSM with another key", "HSM: key of this log", "fail", "the log is signed by", "rotate only when it was you",
        |copy| { new_slot(copy); copy.run(&["keys", "generate"]); }),
];
