//! The fault table over the stand-alone simulator: what each fault does, and that it is over when it is cleared.

use cryptoki::error::RvError;
use cryptoki::session::UserType;

use crate::faulty::{DEADLINE, Faulty, Signer, aside, code, waits};
use crate::scratch::pin;

#[test]
fn remove_ends_the_sessions_until_the_device_is_back() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("remove");
    assert_eq!(code(signer.sign()), RvError::DeviceRemoved);
    assert_eq!(code(faulty.module.open_ro_session(faulty.slot)), RvError::TokenNotPresent);
    assert_eq!(code(faulty.module.get_token_info(faulty.slot)), RvError::TokenNotPresent);
    assert_eq!(faulty.module.get_slots_with_token().unwrap(), []);
    assert!(!faulty.module.get_slot_info(faulty.slot).unwrap().token_present());
    faulty.clear();
    assert_eq!(code(signer.sign()), RvError::SessionHandleInvalid);
    assert!(faulty.is_genuine(&faulty.signer().sign().unwrap()));
}

#[test]
fn reboot_ends_the_sessions_once() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("reboot");
    assert_eq!(code(signer.sign()), RvError::SessionHandleInvalid);
    assert!(faulty.is_genuine(&faulty.signer().sign().unwrap()));
}

#[test]
fn logout_loses_the_login_once() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("logout");
    assert_eq!(code(signer.sign()), RvError::UserNotLoggedIn);
    signer.session.login(UserType::User, Some(&pin("1234"))).unwrap();
    assert!(faulty.is_genuine(&Signer::new(signer.session).sign().unwrap()));
}

#[test]
fn absent_starts_without_a_slot() {
    let faulty = Faulty::new();
    faulty.inject("absent");
    assert_eq!(faulty.module.get_all_slots().unwrap(), []);
    assert_eq!(faulty.scratch.start().get_all_slots().unwrap(), []);
    assert_eq!(code(faulty.module.get_token_info(faulty.slot)), RvError::SlotIdInvalid);
    faulty.clear();
    assert_eq!(faulty.module.get_slots_with_initialized_token().unwrap(), [faulty.slot]);
}

#[test]
fn a_signature_that_hangs_is_late_and_right() {
    let faulty = Faulty::new();
    faulty.inject("hang sign");
    let signature = faulty.signer().sign_aside();
    waits(&signature);
    // Nothing else hangs.
    faulty.module.get_token_info(faulty.slot).unwrap();
    faulty.clear();
    assert!(faulty.is_genuine(&signature.recv_timeout(DEADLINE).unwrap().unwrap()));
}

#[test]
fn a_hang_for_a_time_ends_by_itself() {
    let faulty = Faulty::new();
    faulty.inject("hang sign --for 200ms");
    let signature = faulty.signer().sign_aside();
    waits(&signature);
    assert!(faulty.is_genuine(&signature.recv_timeout(DEADLINE).unwrap().unwrap()));
    assert!(faulty.is_genuine(&faulty.signer().sign().unwrap()));
    assert!(faulty.command("status").contains("\"faults\":[]"));
}

#[test]
fn the_last_call_to_be_struck_hangs_too() {
    let faulty = Faulty::new();
    faulty.inject("hang sign --times 1");
    let (first, second) = (faulty.signer(), faulty.module.open_ro_session(faulty.slot).unwrap());
    let hanging = first.sign_aside();
    waits(&hanging);
    assert!(faulty.is_genuine(&Signer::new(second).sign().unwrap()));
    waits(&hanging);
    faulty.clear();
    assert!(hanging.recv_timeout(DEADLINE).unwrap().is_ok());
}

#[test]
fn when_all_hangs_nothing_returns() {
    let faulty = Faulty::new();
    let session = faulty.module.open_ro_session(faulty.slot).unwrap();
    let (module, slot) = (faulty.module.clone(), faulty.slot);
    faulty.inject("hang all");
    let calls = [aside(move || session.close().is_ok()), aside(move || module.get_token_info(slot).is_ok())];
    calls.iter().for_each(waits);
    let module = faulty.module.clone();
    let finalized = aside(move || module.finalize().is_ok());
    waits(&finalized);
    faulty.clear();
    assert!(calls.iter().all(|call| call.recv_timeout(DEADLINE).is_ok()));
    assert!(finalized.recv_timeout(DEADLINE).unwrap());
}

#[test]
fn slow_takes_its_time_and_signs() {
    let faulty = Faulty::new();
    faulty.inject("slow 200ms");
    let signature = faulty.signer().sign_aside();
    waits(&signature);
    assert!(faulty.is_genuine(&signature.recv_timeout(DEADLINE).unwrap().unwrap()));
}

#[test]
fn busy_fails_without_poisoning_the_session() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("busy");
    assert_eq!(code(signer.sign()), RvError::FunctionFailed);
    assert_eq!(code(signer.sign()), RvError::DeviceMemory);
    assert_eq!(code(faulty.module.open_ro_session(faulty.slot)), RvError::SessionCount);
    faulty.clear();
    assert!(faulty.is_genuine(&signer.sign().unwrap()));
}

#[test]
fn corrupt_flips_one_bit() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    let genuine = signer.sign().unwrap();
    faulty.inject("corrupt");
    for _ in 0..130 {
        let corrupt = signer.sign().unwrap();
        let flipped: u32 = genuine.iter().zip(&corrupt).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!((corrupt.len(), flipped), (64, 1));
        assert!(!faulty.is_genuine(&corrupt));
    }
}

#[test]
fn zero_is_no_signature() {
    let faulty = Faulty::new();
    faulty.inject("zero");
    assert_eq!(faulty.signer().sign().unwrap(), [0; 64]);
}

#[test]
fn wrong_key_signs_under_another_key() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    let genuine = signer.sign().unwrap();
    faulty.inject("wrong-key");
    let wrong = signer.sign().unwrap();
    assert!(!faulty.is_genuine(&wrong));
    assert_eq!(wrong.len(), genuine.len());
    assert_eq!(wrong, signer.sign().unwrap());
    // The scalar half is reduced, as only a signer makes it.
    assert!(wrong[63] & 0xe0 == 0);
}

#[test]
fn wrong_message_is_a_genuine_signature_of_something_else() {
    let faulty = Faulty::new();
    faulty.inject("wrong-message");
    let wrong = faulty.signer().sign().unwrap();
    assert!(!faulty.is_genuine(&wrong));
    assert!(faulty.verifies(b"`ssent", &wrong));
}

#[test]
fn wipe_hides_the_keys_and_clear_brings_them_back() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("wipe");
    assert_eq!(code(signer.sign()), RvError::KeyHandleInvalid);
    assert_eq!(signer.session.find_objects(&[]).unwrap(), []);
    faulty.clear();
    assert!(faulty.is_genuine(&signer.sign().unwrap()));
}

#[test]
fn a_locked_pin_is_shown_and_refused() {
    let faulty = Faulty::new();
    faulty.inject("pin-locked");
    let session = faulty.module.open_ro_session(faulty.slot).unwrap();
    assert_eq!(code(session.login(UserType::User, Some(&pin("1234")))), RvError::PinLocked);
    assert!(faulty.module.get_token_info(faulty.slot).unwrap().user_pin_locked());
    faulty.clear();
    assert!(!faulty.module.get_token_info(faulty.slot).unwrap().user_pin_locked());
    session.login(UserType::User, Some(&pin("1234"))).unwrap();
}

#[test]
fn a_poisoned_session_stays_so_and_a_new_one_is_not() {
    let faulty = Faulty::new();
    let (poisoned, other) = (faulty.signer(), faulty.module.open_ro_session(faulty.slot).unwrap());
    faulty.inject("poison");
    for _ in 0..3 {
        assert_eq!(code(poisoned.sign()), RvError::OperationActive);
    }
    assert!(faulty.is_genuine(&Signer::new(other).sign().unwrap()));
}

#[test]
fn a_failed_self_test_stops_what_needs_the_device() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("self-test");
    assert_eq!(code(signer.sign()), RvError::FipsSelfTestFailed);
    assert_eq!(code(faulty.module.open_ro_session(faulty.slot)), RvError::FipsSelfTestFailed);
    assert!(faulty.module.get_token_info(faulty.slot).unwrap().error_state());
}

#[test]
fn any_code_is_answered_to_any_call() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("rv 0x80000384");
    assert!(matches!(code(signer.sign()), RvError::VendorDefined(_)));
    faulty.clear();
    faulty.inject("rv 0x32 --call C_GetSessionInfo --call C_Login");
    assert_eq!(code(signer.session.get_session_info()), RvError::DeviceRemoved);
    assert!(faulty.is_genuine(&signer.sign().unwrap()));
}
