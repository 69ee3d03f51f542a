//! What the signer can reach: no descriptor but its own, no file of the appliance's, no PIN once it is logged in.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use appliance::hsm::{Confinement, FaultKind, HsmSettings, Signer};
use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetError,
};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::not_run;
use crate::scratch::{PATIENCE, Scratch, until, with_each_hsm};

/// Where the descriptors of a process lead.
fn descriptors(process: u32) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    listed.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok()).collect()
}

#[test]
fn what_the_appliance_inherited_does_not_reach_the_signer() {
    with_each_hsm(|scratch| {
        scratch.keyed();
        let path = scratch.write("inherited", b"");
        let inherited = File::open(&path).unwrap();
        fcntl_setfd(&inherited, FdFlags::empty()).unwrap();
        let mut control = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(descriptors(control.id()).contains(&path), "any other child gets it");
        control.kill().unwrap();
        control.wait().unwrap();

        let (signer, _) = scratch.signer();
        let found = descriptors(signer.process().unwrap());
        println!("{}: the signer holds {found:?}", signer.identity().model);
        assert!(!found.contains(&path), "{found:?}");
        let foreign = |path: &&PathBuf| {
            let named = path.to_string_lossy();
            !named.starts_with("socket:")
                && !path.starts_with(scratch.file(""))
                && **path != Path::new("/dev/null")
        };
        // Beside its socket and standard error, only what the module opened: in its own folder.
        let stderr = std::fs::read_link("/proc/self/fd/2").unwrap();
        let foreign: Vec<_> = found.iter().filter(foreign).filter(|path| **path != stderr).collect();
        assert_eq!(foreign, Vec::<&PathBuf>::new());
    });
}

/// The signer that a process has started.
fn signer_of(parent: u32) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut children = numbers.filter(|process| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        status.contains(&format!("PPid:\t{parent}\n"))
    });
    // Not before it has become the program.
    children.find(|process| {
        std::fs::read_to_string(format!("/proc/{process}/cmdline"))
            .is_ok_and(|line| line.ends_with("\0signer\0"))
    })
}

#[test]
fn a_command_gives_the_signer_nothing_that_it_inherited() {
    let scratch = Scratch::simulator();
    scratch.keyed();
    let path = scratch.write("inherited", b"");
    // Each signature takes a while, so that there is time to look at the signer that the check starts.
    scratch.simulate("inject slow 1s");
    let script = format!(
        "exec 9<'{}'; exec '{}' hsm check --module '{}' --env 'FIRMWARE_SIM_DIR={}' --slot-label scratch \
         --pin-file '{}' --allow-simulator",
        path.display(),
        env!("CARGO_BIN_EXE_assent"),
        scratch.settings().module.display(),
        scratch.file("state").display(),
        scratch.file("pin").display(),
    );
    let mut command = Command::new("bash");
    let mut check =
        command.args(["-c", &script]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut signer = None;
    until("the check has started its signer", || {
        signer = signer_of(check.id());
        signer.is_some()
    });
    let signer = signer.unwrap();
    assert!(descriptors(check.id()).contains(&path), "the appliance has it");
    let found = descriptors(signer);
    assert!(!found.contains(&path), "{found:?}");
    scratch.simulate("clear");
    assert!(check.wait().unwrap().success());
}

/// Whether the kernel of this machine confines the signer, asked without it; with a word when it does not.
fn confined(held: Confinement) -> bool {
    let able = |abi| hard_requirement(abi).is_ok();
    let expected = match (able(ABI::V1), able(ABI::V5)) {
        (false, _) => Confinement::None,
        (true, false) => Confinement::Partial,
        (true, true) => Confinement::Full,
    };
    assert_eq!(held, expected);
    if held == Confinement::None {
        not_run::lacking("the kernel has no Landlock, so the signer is not confined");
    }
    held != Confinement::None
}

fn hard_requirement(abi: ABI) -> Result<Ruleset, RulesetError> {
    Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(abi))
}

#[test]
fn the_signer_cannot_open_what_is_protected_and_everything_else() {
    let scratch = Scratch::simulator();
    scratch.keyed();
    let beside = HsmSettings { protected: vec![scratch.file("data")], ..scratch.settings() };
    std::fs::create_dir(scratch.file("data")).unwrap();
    let start = |settings: &HsmSettings| Signer::start(settings, &scratch.pin("pin"), PATIENCE, |_| ());
    let mut signer = start(&beside).unwrap();
    signer.sign(b"text", PATIENCE).unwrap();
    println!("confinement on this kernel: {:?}", signer.identity().confinement);
    if !confined(signer.identity().confinement) {
        return;
    }
    drop(signer);
    // The module's own state, in a protected folder, through a link to it, and a file of it alone.
    symlink(scratch.file("state"), scratch.file("link")).unwrap();
    let through_link = [("FIRMWARE_SIM_DIR".to_owned(), scratch.file("link").to_str().unwrap().to_owned())];
    let state = vec![scratch.file("state")];
    let cases = [
        (HsmSettings { protected: state.clone(), ..scratch.settings() }, "the folder"),
        (
            HsmSettings { protected: vec![scratch.file("link")], ..scratch.settings() },
            "the folder by its link",
        ),
        (
            HsmSettings { protected: state, environment: through_link.into(), ..scratch.settings() },
            "a link to the folder",
        ),
        (
            HsmSettings { protected: vec![scratch.file("state/slot-0.json")], ..scratch.settings() },
            "the slot",
        ),
    ];
    for (settings, what) in cases {
        let fault = start(&settings).err().unwrap_or_else(|| panic!("{what}: the signer could read it"));
        println!("{what} protected: {fault}");
        assert!(!matches!(fault.fault(), FaultKind::SignerUnstarted | FaultKind::DeadlineMissed), "{fault}");
    }
    start(&scratch.settings()).unwrap().sign(b"text", PATIENCE).unwrap();
}

#[test]
fn a_real_module_works_beside_what_is_protected_and_comes_back_when_its_folder_does() {
    let Some(scratch) = Scratch::softhsm() else { return };
    scratch.keyed();
    // One is there, one is not yet.
    std::fs::create_dir(scratch.file("data")).unwrap();
    let protected = vec![scratch.file("data"), scratch.file("fence/checkpoint")];
    let settings = HsmSettings { protected, ..scratch.settings() };
    let start = || Signer::start(&settings, &scratch.pin("pin"), PATIENCE, |_| ());
    let mut signer = start().unwrap();
    println!("SoftHSM2: {:?}", signer.identity().confinement);
    signer.sign(b"text", PATIENCE).unwrap();
    let (tokens, away) = (scratch.file("tokens"), scratch.file("away"));
    std::fs::rename(&tokens, &away).unwrap();
    let fault = signer.sign(b"text", PATIENCE).unwrap_err();
    println!("without its folder: {fault}");
    start().unwrap_err();
    std::fs::rename(&away, &tokens).unwrap();
    start().unwrap().sign(b"text", PATIENCE).unwrap();
    if confined(signer.identity().confinement) {
        let settings = HsmSettings { protected: vec![tokens], ..settings.clone() };
        let fault = Signer::start(&settings, &scratch.pin("pin"), PATIENCE, |_| ()).unwrap_err();
        println!("its own folder protected: {fault}");
    }
}

#[test]
fn a_running_signer_lives_through_its_folder_going_and_coming() {
    let Some(scratch) = Scratch::softhsm() else { return };
    scratch.keyed();
    let settings = HsmSettings { protected: vec![scratch.file("data")], ..scratch.settings() };
    let mut signer = Signer::start(&settings, &scratch.pin("pin"), PATIENCE, |_| ()).unwrap();
    std::fs::rename(scratch.file("tokens"), scratch.file("away")).unwrap();
    std::fs::rename(scratch.file("away"), scratch.file("tokens")).unwrap();
    // The leave to open it lies on the folder, not on its name.
    signer.sign(b"text", PATIENCE).unwrap();
}

#[test]
fn nobody_may_look_into_the_signer() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let owner_of = |process: u32| std::fs::metadata(format!("/proc/{process}/status")).unwrap().uid();
    let other = 65_534;
    let spawn = |command: &mut Command| command.uid(other).stderr(Stdio::null()).spawn();
    let Ok(mut control) = spawn(Command::new("sleep").arg("60")) else {
        return not_run::missing("only root may start a process as somebody else");
    };
    until("it runs as somebody else", || owner_of(control.id()) == other);
    let mut command = Command::new(env!("CARGO_BIN_EXE_assent"));
    match spawn(command.arg("signer").stdin(Stdio::from(OwnedFd::from(theirs)))) {
        Ok(mut signer) => {
            // The files of a process that cannot be dumped belong to root, whoever it runs as.
            until("the signer has protected itself", || owner_of(signer.id()) == 0);
            signer.kill().unwrap();
            signer.wait().unwrap();
        }
        Err(error) => {
            not_run::lacking(&format!("others cannot run {}: {error}", env!("CARGO_BIN_EXE_assent")));
        }
    }
    control.kill().unwrap();
    control.wait().unwrap();
    drop(ours);
}

/// How often `needle` stands in the writable memory of a process; none when nobody lets us look.
fn count_in_memory(process: u32, needle: &[u8]) -> Option<usize> {
    let memory = File::open(format!("/proc/{process}/mem")).ok()?;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let mut found = 0;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        let read = memory.read_at(&mut bytes, from).unwrap_or(0);
        found += bytes[..read].windows(needle.len()).filter(|window| *window == needle).count();
    }
    Some(found)
}

#[test]
fn the_pin_is_gone_from_the_signer_once_it_is_logged_in() {
    let scratch = Scratch::simulator_with_pin("a PIN that stands nowhere else");
    scratch.keyed();
    let (mut signer, _) = scratch.signer();
    // What was said to it is somewhere in there: so what follows can be seen.
    signer.sign(b"a text that stands nowhere else", PATIENCE).unwrap();
    let process = signer.process().unwrap();
    let Some(texts) = count_in_memory(process, b"a text that stands nowhere") else {
        return not_run::missing("only root may look into the memory of a process that cannot be dumped");
    };
    assert!(texts > 0, "the last question still lies in its buffer");
    assert_eq!(count_in_memory(process, b"a PIN that stands nowhere"), Some(0));
}
