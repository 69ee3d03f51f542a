//! The stand-alone simulator as cryptoki sees it: slots, PINs, sessions, objects, signatures.

use crate::scratch::{self, Scratch, key_pair, pin, point, user_session, with_folder};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass};
use cryptoki::session::{SessionState, UserType};
use ed25519_dalek::{Signature, VerifyingKey};

fn pure() -> Mechanism<'static> {
    Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, with: RvError) {
    match result {
        Err(Error::Pkcs11(code, _)) if code == with => {}
        other => panic!("expected {with:?}, got {other:?}"),
    }
}

#[test]
fn without_a_folder_no_slot_is_offered() {
    let folder = tempfile::tempdir().unwrap();
    let module = Pkcs11::new(scratch::copied_module(folder.path())).unwrap();
    let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    with_folder(None, || module.initialize(arguments)).unwrap();
    assert_eq!(module.get_all_slots().unwrap(), []);
}

#[test]
fn it_says_that_it_is_a_simulator() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    assert_eq!(module.get_library_info().unwrap().manufacturer_id(), firmware_sim::MANUFACTURER);
    let info = module.get_token_info(slot).unwrap();
    assert_eq!((info.manufacturer_id(), info.model()), (firmware_sim::MANUFACTURER, firmware_sim::MODEL));
    assert!(module.get_slot_info(slot).unwrap().slot_description().contains("simulator"));
}

#[test]
fn one_free_slot_is_always_offered() {
    let scratch = Scratch::new();
    let module = scratch.start();
    for initialised in 0..3 {
        let slots = module.get_all_slots().unwrap();
        assert_eq!(slots.len(), initialised + 1);
        assert_eq!(module.get_slots_with_initialized_token().unwrap().len(), initialised);
        module.init_token(slots[initialised], &pin("56785678"), &format!("slot {initialised}")).unwrap();
    }
    let serials: std::collections::BTreeSet<_> = module
        .get_slots_with_initialized_token()
        .unwrap()
        .into_iter()
        .map(|slot| module.get_token_info(slot).unwrap().serial_number().to_owned())
        .collect();
    assert_eq!(serials.len(), 3);
}

#[test]
fn a_signature_verifies_under_the_public_point() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    let (public, private) = key_pair(&session, 1);
    let key = VerifyingKey::from_bytes(&point(&session, public)).unwrap();
    for message in [&b""[..], b"assent", &[7; 100_000]] {
        let signature = session.sign(&pure(), private, message).unwrap();
        key.verify_strict(message, &Signature::from_slice(&signature).unwrap()).unwrap();
        session.verify(&pure(), public, message, &signature).unwrap();
        refused(session.verify(&pure(), public, b"other", &signature), RvError::SignatureInvalid);
    }
}

#[test]
fn keys_and_pins_survive_a_restart() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    let before = point(&session, key_pair(&session, 1).0);
    drop(session);
    module.finalize().unwrap();

    let module = scratch.start();
    let session = user_session(&module, slot);
    let private =
        session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(vec![1])]).unwrap();
    assert_eq!(private.len(), 1);
    let signature = Signature::from_slice(&session.sign(&pure(), private[0], b"after").unwrap()).unwrap();
    VerifyingKey::from_bytes(&before).unwrap().verify_strict(b"after", &signature).unwrap();
}

#[test]
fn a_private_key_tells_what_it_is_but_not_its_value() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    let (_, private) = key_pair(&session, 1);
    let asked = [
        AttributeType::Sensitive,
        AttributeType::AlwaysSensitive,
        AttributeType::Extractable,
        AttributeType::NeverExtractable,
        AttributeType::Local,
        AttributeType::KeyType,
    ];
    let told = session.get_attributes(private, &asked).unwrap();
    assert_eq!(
        told,
        [
            Attribute::Sensitive(true),
            Attribute::AlwaysSensitive(true),
            Attribute::Extractable(false),
            Attribute::NeverExtractable(true),
            Attribute::Local(true),
            Attribute::KeyType(KeyType::EC_EDWARDS),
        ]
    );
    let value = session.get_attribute_info(private, &[AttributeType::Value, AttributeType::Modulus]).unwrap();
    assert!(matches!(value.as_slice(), [AttributeInfo::Sensitive, AttributeInfo::TypeInvalid]), "{value:?}");
}

#[test]
fn private_objects_do_not_exist_before_login() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    let (public, private) = key_pair(&session, 1);
    session.logout().unwrap();
    assert_eq!(session.find_objects(&[]).unwrap(), [public]);
    refused(session.sign(&pure(), private, b"x"), RvError::KeyHandleInvalid);
    session.login(UserType::User, Some(&pin("1234"))).unwrap();
    assert_eq!(session.find_objects(&[]).unwrap().len(), 2);
    refused(session.sign(&pure(), private, b"x"), RvError::KeyHandleInvalid);
}

#[test]
fn ten_wrong_pins_lock_the_user_until_the_so_helps() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = module.open_rw_session(slot).unwrap();
    for tried in 1..10 {
        refused(session.login(UserType::User, Some(&pin("4321"))), RvError::PinIncorrect);
        let info = module.get_token_info(slot).unwrap();
        assert!(info.user_pin_count_low());
        assert_eq!((info.user_pin_final_try(), info.user_pin_locked()), (tried == 9, false));
    }
    refused(session.login(UserType::User, Some(&pin("4321"))), RvError::PinLocked);
    refused(session.login(UserType::User, Some(&pin("1234"))), RvError::PinLocked);
    assert!(module.get_token_info(slot).unwrap().user_pin_locked());

    session.login(UserType::So, Some(&pin("56785678"))).unwrap();
    session.init_pin(&pin("9999")).unwrap();
    session.logout().unwrap();
    session.login(UserType::User, Some(&pin("9999"))).unwrap();
    assert!(!module.get_token_info(slot).unwrap().user_pin_count_low());
}

#[test]
fn who_may_log_in_depends_on_who_is() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    refused(session.login(UserType::User, Some(&pin("1234"))), RvError::UserAlreadyLoggedIn);
    refused(session.login(UserType::So, Some(&pin("56785678"))), RvError::UserAnotherAlreadyLoggedIn);
    refused(session.init_pin(&pin("9999")), RvError::UserNotLoggedIn);
    session.logout().unwrap();
    refused(session.logout(), RvError::UserNotLoggedIn);
    let reading = module.open_ro_session(slot).unwrap();
    refused(session.login(UserType::So, Some(&pin("56785678"))), RvError::SessionReadOnlyExists);
    reading.close().unwrap();
    session.login(UserType::So, Some(&pin("56785678"))).unwrap();
    refused(module.open_ro_session(slot), RvError::SessionReadWriteSoExists);
}

#[test]
fn the_login_ends_with_the_last_session() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let (first, second) = (user_session(&module, slot), module.open_ro_session(slot).unwrap());
    first.close().unwrap();
    assert!(matches!(second.get_session_info().unwrap().session_state(), SessionState::RoUser));
    second.close().unwrap();
    let third = module.open_ro_session(slot).unwrap();
    assert!(matches!(third.get_session_info().unwrap().session_state(), SessionState::RoPublic));
}

#[test]
fn a_pin_is_changed_by_who_knows_it() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    refused(session.set_pin(&pin("0000"), &pin("9999")), RvError::PinIncorrect);
    refused(session.set_pin(&pin("1234"), &pin("999")), RvError::PinLenRange);
    session.set_pin(&pin("1234"), &pin("9999")).unwrap();
    session.logout().unwrap();
    refused(session.login(UserType::User, Some(&pin("1234"))), RvError::PinIncorrect);
    session.login(UserType::User, Some(&pin("9999"))).unwrap();
}

#[test]
fn initialising_again_takes_the_so_and_leaves_nothing() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let serial = module.get_token_info(slot).unwrap().serial_number().to_owned();
    let session = user_session(&module, slot);
    key_pair(&session, 1);
    refused(module.init_token(slot, &pin("56785678"), "again"), RvError::SessionExists);
    session.close().unwrap();
    refused(module.init_token(slot, &pin("00000000"), "again"), RvError::PinIncorrect);
    module.init_token(slot, &pin("56785678"), "again").unwrap();
    let info = module.get_token_info(slot).unwrap();
    assert_eq!((info.label(), info.user_pin_initialized()), ("again", false));
    assert_ne!(info.serial_number(), serial);
    assert_eq!(module.open_ro_session(slot).unwrap().find_objects(&[]).unwrap(), []);
}

#[test]
fn a_free_slot_opens_no_session() {
    let scratch = Scratch::new();
    let module = scratch.start();
    let free = module.get_all_slots().unwrap()[0];
    refused(module.open_ro_session(free), RvError::TokenNotRecognized);
}

#[test]
fn reading_sessions_store_nothing() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = module.open_ro_session(slot).unwrap();
    let stored = [Attribute::Class(ObjectClass::DATA), Attribute::Token(true), Attribute::Private(false)];
    refused(session.create_object(&stored), RvError::SessionReadOnly);
    let private = [Attribute::Class(ObjectClass::DATA), Attribute::Private(true)];
    refused(session.create_object(&private), RvError::UserNotLoggedIn);
    let loose =
        session.create_object(&[Attribute::Class(ObjectClass::DATA), Attribute::Private(false)]).unwrap();
    assert_eq!(session.find_objects(&[]).unwrap(), [loose]);
    drop(session);
    assert_eq!(module.open_ro_session(slot).unwrap().find_objects(&[]).unwrap(), []);
}

#[test]
fn a_data_object_keeps_what_it_is_given() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    let object = session
        .create_object(&[
            Attribute::Class(ObjectClass::DATA),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Application(b"assent".to_vec()),
            Attribute::Label(b"fence".to_vec()),
            Attribute::Value(vec![1, 2, 3]),
        ])
        .unwrap();
    session.update_attributes(object, &[Attribute::Value(vec![4; 500])]).unwrap();
    drop(session);
    module.finalize().unwrap();

    let module = scratch.start();
    let session = user_session(&module, slot);
    let found = session.find_objects(&[Attribute::Label(b"fence".to_vec())]).unwrap();
    let value =
        session.get_attributes(found[0], &[AttributeType::Value, AttributeType::Application]).unwrap();
    assert_eq!(value, [Attribute::Value(vec![4; 500]), Attribute::Application(b"assent".to_vec())]);
    session.destroy_object(found[0]).unwrap();
    assert_eq!(session.find_objects(&[]).unwrap(), []);
}

#[test]
fn an_object_that_may_not_change_or_go_does_not() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    let fixed = session
        .create_object(&[
            Attribute::Class(ObjectClass::DATA),
            Attribute::Modifiable(false),
            Attribute::Destroyable(false),
        ])
        .unwrap();
    refused(session.update_attributes(fixed, &[Attribute::Label(b"x".to_vec())]), RvError::ActionProhibited);
    refused(session.destroy_object(fixed), RvError::ActionProhibited);
}

#[test]
fn a_change_is_made_whole_or_not_at_all() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    let (_, private) = key_pair(&session, 1);
    let changes = [Attribute::Label(b"new".to_vec()), Attribute::Sign(false)];
    refused(session.update_attributes(private, &changes), RvError::AttributeReadOnly);
    let label = session.get_attributes(private, &[AttributeType::Label]).unwrap();
    assert_eq!(label, [Attribute::Label(b"log".to_vec())]);
    session.update_attributes(private, &[Attribute::Label(b"new".to_vec()), Attribute::Id(vec![2])]).unwrap();
    assert_eq!(session.find_objects(&[Attribute::Id(vec![2])]).unwrap(), [private]);
}

#[test]
fn both_ways_to_name_the_curve_are_taken_and_no_other_curve() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    let make = |curve: &[u8]| {
        let public = [Attribute::EcParams(curve.to_vec())];
        session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &[])
    };
    for curve in [scratch::CURVE, b"\x06\x03\x2b\x65\x70"] {
        let (public, _) = make(curve).unwrap();
        let told = session.get_attributes(public, &[AttributeType::EcParams]).unwrap();
        assert_eq!(told, [Attribute::EcParams(curve.to_vec())]);
    }
    refused(make(b"\x06\x03\x2b\x65\x71"), RvError::CurveNotSupported);
    refused(
        session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &[], &[]),
        RvError::TemplateIncomplete,
    );
}

#[test]
fn a_variant_that_it_cannot_do_is_refused_rather_than_ignored() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    let (_, private) = key_pair(&session, 1);
    for scheme in [EddsaSignatureScheme::Ed25519ph(b""), EddsaSignatureScheme::Ed25519ctx(b"context")] {
        let signed = session.sign(&Mechanism::Eddsa(EddsaParams::new(scheme)), private, b"x");
        refused(signed, RvError::MechanismParamInvalid);
    }
}

#[test]
fn what_one_process_makes_another_finds() {
    let scratch = Scratch::new();
    let (ours, slot) = scratch.provisioned();
    let theirs = scratch.start();
    let watching = user_session(&theirs, slot);
    assert_eq!(watching.find_objects(&[]).unwrap(), []);
    key_pair(&user_session(&ours, slot), 1);
    assert_eq!(watching.find_objects(&[]).unwrap().len(), 2);
}

#[test]
fn a_slot_initialised_by_another_process_loses_its_sessions() {
    let scratch = Scratch::new();
    let (ours, slot) = scratch.provisioned();
    let theirs = scratch.start();
    let session = user_session(&theirs, slot);
    ours.init_token(slot, &pin("56785678"), "taken").unwrap();
    refused(session.find_objects(&[]), RvError::SessionHandleInvalid);
}

#[test]
fn sessions_sign_side_by_side() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    let (public, _) = key_pair(&session, 1);
    let key = VerifyingKey::from_bytes(&point(&session, public)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let session = module.open_ro_session(slot).unwrap();
            scope.spawn(move || {
                let private = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap()[0];
                for round in 0..200_u8 {
                    let message = [thread, round];
                    let signature = session.sign(&pure(), private, &message).unwrap();
                    key.verify_strict(&message, &Signature::from_slice(&signature).unwrap()).unwrap();
                }
            });
        }
    });
}

#[test]
fn the_folder_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    scratch.provisioned();
    let mode = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(scratch.state()), 0o700);
    assert_eq!(mode(scratch.state().join("slot-0.json")), 0o600);
}

#[test]
fn a_damaged_slot_file_is_no_slot_but_an_error() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    std::fs::write(scratch.state().join("slot-0.json"), b"{").unwrap();
    refused(module.get_token_info(slot), RvError::DeviceError);
    refused(module.open_ro_session(slot), RvError::DeviceError);
}
