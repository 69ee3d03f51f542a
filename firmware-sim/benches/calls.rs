//! What the simulator costs: a signature against the bare computation, and a call through it against the real module alone.
//!
//! The interposed half needs SoftHSM2 and says so when it is missing.
#![expect(unsafe_code, reason = "a module learns its folder from the environment")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to measure")]

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::{Session, UserType};
use ed25519_dalek::{Signer as _, SigningKey};
use firmware_sim::faults::control::ask;

const MESSAGE: &[u8] = &[7; 200];
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// The module beside this executable, copied, so that each has statics of its own.
fn copy(from: &Path, to: PathBuf) -> PathBuf {
    std::fs::copy(from, &to).unwrap();
    to
}

fn set(name: &str, value: &Path) {
    // SAFETY: the benchmark has one thread when it sets up.
    unsafe { std::env::set_var(name, value) };
}

/// A module with a key, and a session that may sign.
fn provision(module: &Path) -> (Pkcs11, Session, ObjectHandle) {
    let pin = |text: &str| text.to_owned().into();
    let module = Pkcs11::new(module).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    module.init_token(*module.get_all_slots().unwrap().first().unwrap(), &pin("56785678"), "bench").unwrap();
    let slot = *module.get_slots_with_initialized_token().unwrap().first().unwrap();
    let session = module.open_rw_session(slot).unwrap();
    session.login(UserType::So, Some(&pin("56785678"))).unwrap();
    session.init_pin(&pin("1234")).unwrap();
    session.logout().unwrap();
    session.login(UserType::User, Some(&pin("1234"))).unwrap();
    let curve = [Attribute::EcParams(b"\x13\x0cedwards25519".to_vec())];
    let private = [Attribute::Private(true), Attribute::Sensitive(true)];
    let pair = session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &curve, &private).unwrap();
    (module, session, pair.1)
}

fn measure(criterion: &mut Criterion, name: &str, session: &Session, key: ObjectHandle) {
    let pure = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
    criterion.bench_function(&format!("{name}: sign 200 B (three calls)"), |bench| {
        bench.iter(|| session.sign(&pure, key, black_box(MESSAGE)).unwrap());
    });
    criterion.bench_function(&format!("{name}: C_GetSessionInfo"), |bench| {
        bench.iter(|| session.get_session_info().unwrap());
    });
}

fn calls(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let built = std::env::current_exe().unwrap().with_file_name("libfirmware_sim.so");

    let bare = SigningKey::from_bytes(&[1; 32]);
    criterion
        .bench_function("ed25519-dalek: sign 200 B", |bench| bench.iter(|| bare.sign(black_box(MESSAGE))));

    set(firmware_sim::ENV_DIR, &at("own"));
    let (_own, session, key) = provision(&copy(&built, at("own.so")));
    measure(criterion, "stand-alone", &session, key);
    // The second process on a folder has no socket, and looks at the file's version at each call.
    ask(&at("own"), "inject zero --after 1000000000").unwrap();
    measure(criterion, "stand-alone, a fault set that never strikes", &session, key);

    let real = Path::new(SOFTHSM);
    if !real.exists() {
        eprintln!(
            "SKIPPED: SoftHSM2 is not installed (apt-get install softhsm2); the interposed mode was not measured"
        );
        return;
    }
    for name in ["alone", "behind"] {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at("conf"), format!("directories.tokendir = {}\n", at(name).display())).unwrap();
        set("SOFTHSM2_CONF", &at("conf"));
        let softhsm = copy(real, at(&format!("{name}.so")));
        let (_module, session, key) = if name == "alone" {
            provision(&softhsm)
        } else {
            set(firmware_sim::ENV_MODULE, &softhsm);
            set(firmware_sim::ENV_DIR, &at("interposed"));
            provision(&copy(&built, at("interposed.so")))
        };
        let name = if name == "alone" { "SoftHSM2 alone" } else { "SoftHSM2 behind the simulator" };
        measure(criterion, name, &session, key);
    }
}

criterion_group!(benches, calls);
criterion_main!(benches);
