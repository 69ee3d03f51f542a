//! Fences: which crate may depend on which, and which file may name a library.
//!
//! A fence is checked where it stands in a manifest and where a source names what is behind it. A fence that nothing
//! touches any more fails too: it would go on holding an empty field.

use crate::hold;
use crate::manifest::{dependencies, entries};
use crate::source::{self, Line, Part};
use crate::tree::Tree;

/// A crate of ours: its folder, its package, and which of ours it may depend on, for its tests too.
struct Crate {
    folder: &'static str,
    package: &'static str,
    may_use: &'static [&'static str],
}

const CRATES: &[Crate] = &[
    Crate { folder: "proto", package: "assent-proto", may_use: &[] },
    Crate { folder: "appliance/operators", package: "assent-operators", may_use: &[] },
    Crate { folder: "appliance/log", package: "assent-log", may_use: &["assent-operators", "assent-proto"] },
    Crate { folder: "appliance/doors", package: "assent-doors", may_use: &[] },
    Crate {
        folder: "appliance/escalation",
        package: "assent-escalation",
        may_use: &["assent-doors", "assent-proto"],
    },
    Crate { folder: "appliance/evaluator", package: "assent-evaluator", may_use: &[] },
    Crate { folder: "appliance/image", package: "assent-image", may_use: &["assent-evaluator"] },
    Crate {
        folder: "appliance/compiler",
        package: "assent-compiler",
        may_use: &["assent-evaluator", "assent-image", "assent-proto"],
    },
    Crate { folder: "client", package: "assent-client", may_use: &["assent-operators", "assent-proto"] },
    Crate {
        folder: "appliance",
        package: "assent",
        may_use: &[
            "assent-proto",
            "assent-operators",
            "assent-log",
            "assent-doors",
            "assent-escalation",
            "assent-evaluator",
            "assent-compiler",
            "assent-client",
            "firmware-sim",
        ],
    },
    Crate { folder: "firmware-sim", package: "firmware-sim", may_use: &[] },
    Crate {
        folder: "benches",
        package: "assent-bench",
        may_use: &["assent", "assent-client", "assent-compiler", "assent-evaluator", "assent-proto"],
    },
];

/// Which folders' manifests may depend on a library; for tests and the benchmarks beside a crate any may.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("cedar-policy", &["appliance/compiler", "benches"]),
    ("cryptoki", &["appliance", "benches"]),
    ("redb", &["appliance/log", "appliance/doors", "appliance/escalation", "client", "benches"]),
    ("ssh-key", &["appliance/operators"]),
    ("tokio", &["appliance", "client", "benches"]),
    ("ed25519-dalek", &["proto", "firmware-sim", "benches"]),
    ("axum", &["appliance", "benches"]),
    ("ureq", &["appliance/doors", "benches"]),
    ("webauthn-rs", &["appliance"]),
    ("maud", &["appliance"]),
    ("tokio-rustls", &["appliance"]),
    ("prometheus-client", &["appliance"]),
    ("ratatui", &["appliance"]),
    ("clap_complete", &["appliance"]),
    ("clap_mangen", &["appliance"]),
    ("opentelemetry_sdk", &["appliance"]),
];

/// A word that only some files may name.
struct Fence {
    word: &'static str,
    /// Paths that the fence stands around; all where it is `""`.
    around: &'static [&'static str],
    /// Paths that may name it none the less.
    except: &'static [&'static str],
    /// What else may name it, wherever it lies.
    also: &'static [Part],
    why: &'static str,
}

const FENCES: &[Fence] = &[
    Fence {
        word: "cryptoki",
        around: &[""],
        except: &["appliance/src/hsm/module/", "firmware-sim/tests/"],
        also: &[Part::Bench],
        why: "one folder of the signer speaks PKCS#11",
    },
    Fence {
        word: "redb",
        around: &[""],
        except: &[
            "appliance/log/src/store/",
            "appliance/doors/src/shelf.rs",
            "appliance/escalation/src/outbox/store.rs",
            "client/src/spent/store",
        ],
        also: &[Part::Bench],
        why: "the disk door is behind `store`, and a small store is a shelf",
    },
    Fence {
        word: "cedar_policy",
        around: &[""],
        except: &["appliance/compiler/"],
        also: &[Part::Bench],
        why: "Cedar never stands on the serving path: ask the compiler crate",
    },
    Fence {
        word: "ed25519_dalek",
        around: &[""],
        except: &["proto/", "firmware-sim/"],
        also: &[Part::Test, Part::Bench],
        why: "the formats crate verifies, the HSM signs",
    },
    Fence {
        word: "landlock",
        around: &[""],
        except: &["appliance/src/hsm/confinement.rs"],
        also: &[Part::Test],
        why: "one process is confined, before it loads a module",
    },
    Fence {
        word: "close_fds",
        around: &[""],
        except: &["appliance/src/hsm/watch.rs"],
        also: &[],
        why: "one child is started by the appliance: where it is started",
    },
    Fence {
        word: "sd_notify",
        around: &[""],
        except: &["appliance/src/serving/service.rs"],
        also: &[],
        why: "one task tells the service manager, and only what the sealer vouches for",
    },
    Fence {
        word: "opentelemetry_sdk",
        around: &[""],
        except: &["appliance/src/traces/otlp.rs"],
        also: &[],
        why: "one file hands spans to a collector, behind a feature",
    },
    Fence {
        word: "maud",
        around: &[""],
        except: &["appliance/src/console/pages/", "appliance/src/http/console/answers.rs"],
        also: &[],
        why: "pages are written in one folder, where everything is escaped",
    },
    Fence {
        word: "axum",
        around: &[""],
        except: &["appliance/src/http/"],
        also: &[Part::Bench],
        why: "HTTP comes in through one door",
    },
    Fence {
        word: "hyper",
        around: &[""],
        except: &["appliance/src/http/"],
        also: &[],
        why: "HTTP comes in through one door",
    },
    Fence {
        word: "prometheus_client",
        around: &[""],
        except: &["appliance/src/meters/"],
        also: &[],
        why: "rooms count with the instruments of `meters`; one room writes what was counted",
    },
    Fence {
        word: "ureq",
        around: &[""],
        except: &["appliance/doors/src/outbound.rs"],
        also: &[Part::Bench],
        why: "whoever asks or tells over HTTP does so through one client, with its deadlines and limits",
    },
    Fence {
        word: "ratatui",
        around: &[""],
        except: &["appliance/src/cli/top/"],
        also: &[],
        why: "one command draws on the terminal",
    },
    Fence {
        word: "clap_mangen",
        around: &[""],
        except: &["appliance/src/cli/man.rs"],
        also: &[],
        why: "pages are made by one command",
    },
    Fence {
        word: "clap_complete",
        around: &[""],
        except: &["appliance/src/cli/completion.rs"],
        also: &[],
        why: "completions are made by one command",
    },
    Fence {
        word: "ssh_key",
        around: &[""],
        except: &["appliance/operators/"],
        also: &[],
        why: "one room knows who signed",
    },
    Fence {
        word: "webauthn_rs",
        around: &[""],
        except: &["appliance/src/passkeys/site.rs"],
        also: &[],
        why: "one file enrols and logs in; acts are verified by the operators' room",
    },
    Fence {
        word: "tokio",
        around: &["proto/", "appliance/evaluator/", "appliance/compiler/", "firmware-sim/"],
        except: &[],
        also: &[],
        why: "the runtime belongs to the edges",
    },
    Fence {
        word: "std",
        around: &["proto/src/", "appliance/evaluator/src/"],
        except: &[],
        also: &[Part::Test],
        why: "the crate is no_std: use core",
    },
    Fence {
        word: "assent_client",
        around: &["appliance/src/", "appliance/compiler/", "appliance/evaluator/", "proto/", "firmware-sim/"],
        except: &["appliance/src/cli/", "appliance/src/shown.rs"],
        also: &[],
        why: "only the agent's and executor's commands use the client, and what shows operators an intent as agents write it",
    },
    Fence {
        word: "firmware_sim",
        around: &["appliance/", "client/", "proto/"],
        except: &[],
        also: &[],
        why: "the appliance meets the simulator through dlopen only",
    },
    Fence {
        word: "unsafe",
        around: &[""],
        except: &["firmware-sim/"],
        also: &[Part::Test],
        why: "only the simulator's C interface needs it",
    },
];

#[test]
fn every_crate_of_the_workspace_stands_in_the_table_of_dependencies() {
    let tree = Tree::read();
    let workspace = tree.text("Cargo.toml");
    let (_, after) =
        workspace.split_once("members = [").unwrap_or_else(|| panic!("Cargo.toml lists no members"));
    let (members, _) =
        after.split_once("\n]").unwrap_or_else(|| panic!("Cargo.toml: the members have no end"));
    let mut found: Vec<&str> = members.lines().filter_map(|line| line.split('"').nth(1)).collect();
    let mut known: Vec<&str> = CRATES.iter().map(|known| known.folder).collect();
    found.sort_unstable();
    known.sort_unstable();
    assert_eq!(found, known, "say in tests/tidy/fences.rs what a new crate may depend on");
}

#[test]
fn crates_depend_only_on_those_that_the_design_lets_them() {
    let tree = Tree::read();
    let ours = |name: &str| CRATES.iter().any(|known| known.package == name);
    let mut breaches = Vec::new();
    for Crate { folder, package, may_use } in CRATES {
        let path = format!("{folder}/Cargo.toml");
        let text = tree.text(&path);
        assert!(text.contains(&format!("name = \"{package}\"")), "{path}: not the package {package}");
        for found in
            dependencies(&text).iter().filter(|found| ours(found.name) && !may_use.contains(&found.name))
        {
            breaches.push(format!("{path}:{}: {package} may not depend on {}", found.line, found.name));
        }
    }
    hold("move the code to where the dependency is allowed, or change the design first", &breaches);
}

#[test]
fn libraries_behind_a_fence_are_dependencies_of_few_crates() {
    let tree = Tree::read();
    let mut breaches = Vec::new();
    for (library, folders) in LIBRARIES {
        let mut users = 0;
        for Crate { folder, .. } in CRATES {
            let path = format!("{folder}/Cargo.toml");
            for found in
                dependencies(&tree.text(&path)).iter().filter(|found| found.name == *library && !found.dev)
            {
                users += 1;
                if !folders.contains(folder) {
                    breaches.push(format!(
                        "{path}:{}: only {} may use {library}",
                        found.line,
                        folders.join(", ")
                    ));
                }
            }
        }
        if users == 0 {
            breaches
                .push(format!("{library}: no crate uses it; take it out of LIBRARIES and of the workspace"));
        }
    }
    hold("ask the crate that has the library", &breaches);
}

impl Fence {
    /// Looks at one source: adds what is named outside, and says whether it is named inside.
    fn check(&self, path: &str, lines: &[Line], breaches: &mut Vec<String>) -> bool {
        let within = |paths: &[&str]| paths.iter().any(|start| path.starts_with(start));
        let named: Vec<&Line> = lines.iter().filter(|line| source::names(&line.code, self.word)).collect();
        if within(self.except) {
            return !named.is_empty();
        }
        if within(self.around) {
            let outside = named.iter().filter(|line| !self.also.contains(&line.part));
            breaches
                .extend(outside.map(|line| format!("{path}:{}: `{}`: {}", line.number, self.word, self.why)));
        }
        false
    }
}

#[test]
fn sources_name_a_library_only_behind_its_fence() {
    let tree = Tree::read();
    let sources: Vec<_> = tree.ending(".rs").into_iter().map(|file| (file, source::lines(file))).collect();
    let mut breaches = Vec::new();
    for fence in FENCES {
        let mut inside = fence.except.is_empty();
        for (file, lines) in &sources {
            inside |= fence.check(&file.path, lines, &mut breaches);
        }
        if !inside {
            breaches.push(format!(
                "`{}`: not named in {}; move the fence",
                fence.word,
                fence.except.join(", ")
            ));
        }
    }
    hold("a source names what is behind a fence", &breaches);
}

#[test]
fn what_runs_for_every_intent_has_no_standard_library_and_no_unsafe_code() {
    let tree = Tree::read();
    let mut breaches = Vec::new();
    for folder in ["proto", "appliance/evaluator"] {
        let (lib, manifest) =
            (tree.text(&format!("{folder}/src/lib.rs")), tree.text(&format!("{folder}/Cargo.toml")));
        let has = |attribute: &str| lib.lines().any(|line| line == attribute);
        if !has("#![no_std]") {
            breaches.push(format!("{folder}/src/lib.rs: state #![no_std]"));
        }
        let forbids = |e: &crate::manifest::Entry<'_>| {
            e.section == "lints.rust" && e.key == "unsafe_code" && e.value == "\"forbid\""
        };
        if !has("#![forbid(unsafe_code)]") && !entries(&manifest).iter().any(forbids) {
            breaches.push(format!("{folder}/src/lib.rs: state #![forbid(unsafe_code)]"));
        }
        if let Some(line) = lib.lines().position(|line| line.contains("extern crate alloc")) {
            breaches.push(format!("{folder}/src/lib.rs:{}: it allocates nothing", line + 1));
        }
    }
    hold("formats and evaluator stand alone", &breaches);
}
