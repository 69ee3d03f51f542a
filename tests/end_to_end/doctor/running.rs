//! `assent doctor` beside a running appliance: it asks rather than opens, and finds what has drifted apart.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use super::{Healthy, doctor, troubles};
use crate::queue::close;
use crate::support::{Appliance, Hsm};

#[test]
fn a_healthy_one_is_clean_while_it_runs_and_what_drifts_is_found() {
    let appliance = Appliance::start(Hsm::Simulator);
    let folder = appliance.folder.path();
    let (code, report) = doctor(folder, &["--strict"]);
    assert_eq!((code, troubles(&report)), (0, vec![]), "{report}");
    let found = |check: &str, outcome: &str, next: &str| {
        let (_, report) = doctor(folder, &["--skip-hsm"]);
        let troubles = troubles(&report);
        let is_it = |row: &(String, String, String, String)| {
            row.0 == check && row.1 == outcome && row.3.contains(next)
        };
        assert!(troubles.iter().any(is_it), "{check}: {troubles:#?}");
    };
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    let socket = appliance.data().join(appliance::control::SOCKET);
    std::fs::set_permissions(&socket, mode(0o666)).expect("a mode");
    found("control socket", "fail", "chmod 0600");
    std::fs::set_permissions(&socket, mode(0o600)).expect("a mode");
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    let moved = config.replace("http = \"127.0.0.1:0\"", "http = \"off\"");
    std::fs::write(appliance.config(), moved).expect("a configuration");
    found("port for readers", "warn", "restart the appliance");
    std::fs::write(appliance.config(), config).expect("a configuration");
    let fence = folder.join("fence/checkpoint");
    let kept = std::fs::read(&fence).expect("the fence");
    std::fs::remove_file(&fence).expect("it goes");
    found("fence", "fail", "stop the appliance and restore it");
    std::fs::write(&fence, kept).expect("it comes back");
    close(&appliance);
    found("token boundary", "fail", "`assent status`");
}

#[test]
fn an_appliance_of_another_version_is_told_by_its_version() {
    let healthy = Healthy::new();
    let copy = healthy.copy();
    let data = copy.path().join("data");
    std::fs::write(data.join(appliance::control::WORD), "word").expect("the word");
    let mode =
        |path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    mode(data.join(appliance::control::WORD), 0o600);
    let socket = data.join(appliance::control::SOCKET);
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).expect("a socket");
    mode(socket, 0o600);
    let answers = std::thread::Builder::new().spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = stream.expect("somebody asks");
            let mut line = String::new();
            BufReader::new(stream.try_clone().expect("a handle")).read_line(&mut line).expect("a question");
            stream
                .write_all(b"{\"schema\":\"assent.v0.status\",\"version\":\"0.0.9\"}\n")
                .expect("an answer");
        }
    });
    let (code, report) = doctor(copy.path(), &["--skip-hsm"]);
    answers.expect("a thread").join().expect("it answered");
    let troubles = troubles(&report);
    let is_it = |row: &(String, String, String, String)| {
        row.0 == "appliance" && row.2.contains("0.0.9 runs") && row.3.contains("restart the appliance")
    };
    assert!(code == 3 && troubles.iter().any(is_it), "{troubles:#?}");
}
