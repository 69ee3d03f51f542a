//! What stands behind the help of each noun, and in its manual page: what it is for, how it is used, how it ends.
//!
//! The rule it keeps: every example is a command that parses, which a test sees to.

/// A noun, as its help tells of it.
pub(super) struct Told {
    /// The noun.
    pub(super) noun: &'static str,
    /// What it is for, behind the line that the list of commands has.
    pub(super) about: &'static str,
    /// What is typed, each with what comes of it.
    pub(super) examples: &'static [(&'static str, &'static str)],
}

/// What the nouns are for, in the order in which the help lists them.
const GROUPS: &[(&str, &[&str])] = &[
    ("try it", &["demo", "dev", "drill", "bench"]),
    ("run it", &["init", "config", "serve", "status", "top", "doctor", "backup"]),
    ("operate it", &["agent", "operator", "policy", "approval", "queue", "escalation"]),
    ("use it", &["intent", "token", "trust"]),
    ("audit it", &["log", "witness"]),
    ("keys", &["hsm", "keys"]),
    ("emergency", &["breakglass"]),
    ("shell", &["completion", "man"]),
];

/// How commands end: what every page closes with.
const EXITS: &str = "Exit codes:\n  \
    0  done, or allowed\n  \
    1  it could not run; a usage error too\n  \
    2  denied\n  \
    3  a bundle is invalid, a verification failed, or something that was examined is wrong\n  \
    4  it waits for others\n  \
    5  the appliance or its HSM is not available\n\
    With more than one outcome it is the worst.\n\n\
    Data goes to standard output, talk to standard error. NO_COLOR turns colours off. OPERATING.md is the runbook.";

/// The text behind a noun's help.
pub(super) fn behind(told: &Told) -> String {
    let examples: Vec<String> =
        told.examples.iter().map(|(command, what)| format!("  # {what}\n  {command}")).collect();
    format!("{}\n\nExamples:\n{}\n\n{EXITS}", told.about, examples.join("\n"))
}

/// Which commands are for what.
pub(super) fn map() -> String {
    let lines: Vec<String> =
        GROUPS.iter().map(|(what, nouns)| format!("  {what:<11} {}", nouns.join(", "))).collect();
    format!("Commands by what they are for:\n{}", lines.join("\n"))
}

/// Where the help lists a noun.
pub(super) fn place(noun: &str) -> usize {
    let mut nouns = GROUPS.iter().flat_map(|(_, nouns)| nouns.iter());
    nouns.position(|listed| *listed == noun).unwrap_or(usize::MAX)
}

/// The text behind the help of `assent` itself.
pub(super) fn behind_all() -> String {
    let begin = "The first minute: `assent dev`. The main job, seen: `assent demo`. An appliance of your own: `assent init`, which says \
        what comes next at each stage; then `assent doctor`.";
    format!("{}\n\n{begin}\n\n{EXITS}", map())
}

/// Every noun.
#[rustfmt::skip]
pub(super) const NOUNS: &[Told] = &[
    Told {
        noun: "demo",
        about: "Starts an appliance on a simulated HSM in a scratch folder, pre-authorizes the tool calls of tau-bench's retail tasks, a quarter of them altered, most so that the store's rules must deny them, has another process verify every token, kills the signer once and verifies the log.",
        examples: &[
            ("assent demo", "the main job; ends with 0 only if everything held"),
            ("assent demo --bad-day", "an outage: a queue, a break-glass warrant, approvals, people who are told"),
        ],
    },
    Told {
        noun: "dev",
        about: "A whole appliance in one folder: simulated HSM, CA, sample bundle, one enrolled agent, all with throw-away keys and on loopback only. It prints what to type in another shell, and where the console is.",
        examples: &[("assent dev", "make .assent, or go on with it"), ("assent dev --dir /tmp/a --port 0 --http-port 0", "in another folder, on any free ports")],
    },
    Told {
        noun: "init",
        about: "Each run does what can be done now and says what comes next: the configuration, then certificates, then, once the HSM has a key, the log. Ends with 4 while something is yours to do first; what fails ends with 1, 3 or 5, and says why.",
        examples: &[
            ("assent --config /etc/assent/assent.toml init", "write the configuration, or go on from there"),
            ("assent init --sample", "with the retail sample as the first bundle"),
        ],
    },
    Told {
        noun: "serve",
        about: "Runs in the foreground until SIGTERM or SIGINT. Traces go to standard error; ASSENT_TRACE filters them.",
        examples: &[("assent --config /etc/assent/assent.toml serve", "as a service manager starts it")],
    },
    Told {
        noun: "status",
        about: "One reading of the running appliance: boundaries, log, queue, people, keys, bundle. Ends with 5 while a boundary is closed, or where nobody answers.",
        examples: &[
            ("assent status", "for people"),
            ("assent status -o json", "for programs: assent.v1.status"),
        ],
    },
    Told {
        noun: "doctor",
        about: "Looks at everything that this machine must have right, while the appliance runs or stands still, and changes nothing. A line a check: ok, warn or FAIL, what was found, and what to do next. The PIN is tried once. Ends with 3 when something fails; warnings end with 0 unless --strict is given.",
        examples: &[
            ("assent doctor", "everything on this machine"),
            ("assent doctor --online --strict", "the witnesses too, and no warning let pass"),
            ("assent doctor --skip-hsm -o json", "no module is loaded and no PIN tried; for programs"),
        ],
    },
    Told {
        noun: "top",
        about: "Asks the running appliance once a second and draws what it says: boundaries, rates, queue, people, witnesses, log. Keys: q quits, p pauses, ? helps. It needs a terminal; `assent status` does not.",
        examples: &[("assent top", "until q is pressed"), ("assent top --interval 5s", "a reading every five seconds")],
    },
    Told {
        noun: "agent",
        about: "Certificates of the built-in CA for agents, and the register of who holds one. Production may bring its own CA.",
        examples: &[
            ("assent agent enroll retail-support --out agents", "a certificate and a key, in a folder"),
            ("assent agent list", "who holds one, and until when"),
            ("assent agent revoke retail-support", "take all of them back; connections end"),
        ],
    },
    Told {
        noun: "config",
        about: "Unknown keys are refused, values carry their unit, and each error names the line and what is allowed.",
        examples: &[
            ("assent config check", "read it"),
            ("assent config show --effective", "every value that holds, and where it came from"),
        ],
    },
    Told {
        noun: "intent",
        about: "What agents do, from a shell: ASSENT_ADDR, ASSENT_CA, ASSENT_CERT and ASSENT_KEY name the appliance and the agent's identity.",
        examples: &[
            ("assent intent preauthorize intents.jsonl --tokens tokens.jsonl", "a file of intents, in batches"),
        ],
    },
    Told {
        noun: "token",
        about: "Offline: nothing but the trust file is needed. `verify` ends with 3 where a token is refused, and where there was none to verify.",
        examples: &[
            ("assent token verify --trust trust.toml --audience store-api", "tokens and intents from standard input, a JSON line each"),
        ],
    },
    Told {
        noun: "trust",
        about: "What executors and auditors hold of this appliance: origin and verifier keys.",
        examples: &[("assent trust export --out trust.toml", "write it again after each rotation")],
    },
    Told {
        noun: "log",
        about: "For auditors, on a copy or after a stop: the running appliance holds its log, and `assent backup create` copies it. `erase` and `archive` are orders to the running appliance; `succeed` and `restore` want it stopped. Whatever does not verify ends with 3.",
        examples: &[
            ("assent log verify", "every leaf, checkpoint and gap"),
            ("assent log verify --replay", "and every decision made again"),
            ("assent log show --outcome deny", "entries, filtered"),
            ("assent log export -o ocsf", "for a SIEM; csv and ocsf are of `log show` and `log export` only"),
            ("assent log archive --to /srv/archive --keep 1000000", "have the running appliance move old volumes away"),
        ],
    },
    Told {
        noun: "policy",
        about: "Bundles of Cedar policies, before and while they decide.",
        examples: &[
            ("assent policy check bundle", "whether an appliance would take it, and what it can cost"),
            ("assent policy diff bundle next", "what another bundle would change"),
            ("assent policy load", "have the running appliance put it in force"),
        ],
    },
    Told {
        noun: "hsm",
        about: "The HSM, before anything is entrusted to it. A PIN is tried once.",
        examples: &[
            ("assent hsm list --module /usr/lib/softhsm/libsofthsm2.so", "slots, and what they can do"),
            ("assent hsm init --slot-label assent", "give a free slot its label and PINs"),
            ("assent hsm check", "everything that the appliance needs of it"),
            ("assent hsm rearm", "what operators sign so that the token boundary opens after an integrity fault"),
        ],
    },
    Told {
        noun: "keys",
        about: "Authority keys are born in the HSM and never leave it. The running appliance announces the next one, rotates to it and retires the old one.",
        examples: &[
            ("assent keys generate", "make one, under the configured id"),
            ("assent keys list", "which there are, and what each is to the log"),
            ("assent keys announce --key-id 02", "have the next one in trust files before it signs"),
            ("assent keys rotate --key-id 02", "sign with it from now on"),
            ("assent keys retire 01", "once the last token under the old one is over"),
        ],
    },
    Told {
        noun: "drill",
        about: "Breaks a simulated HSM, or SoftHSM2 behind the simulator, in every way that we know of, and holds the appliance to what must come of it.",
        examples: &[("assent drill list", "what is broken, and what must come of it"), ("assent drill run all", "all of them; the report is a page")],
    },
    Told {
        noun: "approval",
        about: "Holds, which wait for operators of the bundle. An answer is signed with the operator's SSH key.",
        examples: &[
            ("assent approval list", "what awaits approval"),
            ("assent approval show TICKET", "all of it, before it is answered"),
            ("assent approval approve TICKET --key id_ed25519", "sign and send"),
        ],
    },
    Told {
        noun: "queue",
        about: "Intents that wait through an outage, in the order in which they are decided.",
        examples: &[("assent queue list", "what waits"), ("assent queue cancel TICKET --reason duplicate", "withdraw it, with the reason in the log")],
    },
    Told {
        noun: "breakglass",
        about: "Charters are made in good times, warrants activated in bad ones, and each use is reviewed afterwards.",
        examples: &[
            ("assent breakglass charter list", "what a warrant may give leave for"),
            ("assent breakglass warrant list", "which live, and what is left of them"),
            ("assent breakglass review list", "uses that nobody has looked at yet"),
        ],
    },
    Told {
        noun: "escalation",
        about: "What people are to know, and whether they do.",
        examples: &[
            ("assent escalation list", "incidents, and how far each has come"),
            ("assent escalation test", "whether every sink takes a message"),
            ("assent escalation retry --all", "what was not delivered, once more"),
        ],
    },
    Told {
        noun: "operator",
        about: "Who may log in at the console, with passkeys and without a password. Names and roles are in the configuration (`[[console.operator]]`); a link by which one enrols serves once. Whose approval counts, the bundle's operators.toml says.",
        examples: &[
            ("assent operator invite alice", "a link for alice to make a passkey by"),
            ("assent operator list", "names, roles, passkeys, and the lines that lists of keys take"),
            ("assent operator revoke alice", "her passkeys count no more; her sessions end"),
        ],
    },
    Told {
        noun: "backup",
        about: "A verified copy of a running or a stopped appliance, and how it is put back. It holds no PIN, and private keys only where they are asked for. A copy that is older than a fence is put back and not served.",
        examples: &[
            ("assent backup create /var/backups/assent-1", "a copy, verified before it has its name"),
            ("assent backup restore /var/backups/assent-1", "put it back, where nothing is in its way"),
        ],
    },
    Told {
        noun: "witness",
        about: "This appliance as the witness of other logs; no token needs it.",
        examples: &[("assent witness init", "make its key"), ("assent witness show", "what others put under `witness.ask`")],
    },
    Told {
        noun: "bench",
        about: "Measures on this machine, in one run. The program assent-bench is built apart.",
        examples: &[("assent bench", "everything, with a page of plots")],
    },
    Told {
        noun: "completion",
        about: "Completes commands, flags and their values in a shell.",
        examples: &[
            ("assent completion bash > /etc/bash_completion.d/assent", "for bash"),
            ("assent completion zsh > /usr/share/zsh/vendor-completions/_assent", "for zsh"),
            ("assent completion fish > /usr/share/fish/vendor_completions.d/assent.fish", "for fish"),
        ],
    },
    Told {
        noun: "man",
        about: "Pages are made from what --help is made from, so they are of this version.",
        examples: &[
            ("assent man", "the page of assent, to standard output"),
            ("assent man --out /usr/local/share/man/man1", "a page for each command"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::command;

    #[test]
    fn each_noun_is_told_of_once_with_examples() {
        let command = command();
        let nouns: BTreeSet<_> = command
            .get_subcommands()
            .filter(|noun| !noun.is_hide_set())
            .map(clap::Command::get_name)
            .collect();
        let told: Vec<_> = NOUNS.iter().map(|told| told.noun).collect();
        assert_eq!(told.iter().copied().collect::<BTreeSet<_>>(), nouns, "each, and no other");
        assert_eq!(told.len(), nouns.len(), "none twice");
        let mapped: Vec<_> = GROUPS.iter().flat_map(|(_, nouns)| nouns.iter().copied()).collect();
        assert_eq!(mapped.iter().copied().collect::<BTreeSet<_>>(), nouns, "each is for something");
        assert_eq!(mapped.len(), nouns.len(), "and for one thing");
        for told in NOUNS {
            assert!(!told.examples.is_empty() && !told.about.is_empty(), "{}", told.noun);
            let help = command.find_subcommand(told.noun).unwrap().clone().render_long_help().to_string();
            assert!(help.contains("Examples:") && help.contains(told.examples[0].0), "{}: {help}", told.noun);
        }
    }

    #[test]
    fn every_example_parses_and_is_of_its_noun() {
        for told in NOUNS {
            for (example, _) in told.examples {
                let words = example.split_whitespace().take_while(|word| !["|", "<", ">"].contains(word));
                let words: Vec<&str> = words.collect();
                assert!(words.contains(&told.noun), "{example}");
                if let Err(error) = command().try_get_matches_from(words) {
                    panic!("{example}: {error}");
                }
            }
        }
    }
}
