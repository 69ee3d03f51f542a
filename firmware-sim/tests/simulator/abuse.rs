//! Abuse: the C ABI called in any order with any handles, nulls and lengths.
//!
//! It may refuse what it likes, but it never crashes, never panics (`CKR_GENERAL_ERROR` is a panic caught at the border), and never
//! writes past the room that it was told.

use std::ffi::c_void;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::LazyLock;

use cryptoki_sys::*;
use firmware_sim::faults::control::ask;
use libloading::{Library, Symbol};
use proptest::prelude::*;

use crate::scratch::{Scratch, copied_module, with_folder};

const ROOM: usize = 512;
const GUARD: u8 = 0xa5;

/// What may be set meanwhile: all that neither waits nor kills.
const FAULTS: [Option<&str>; 15] = [
    None,
    Some("remove --probability 0.5"),
    Some("reboot --times always --probability 0.1"),
    Some("logout --times 5"),
    Some("absent --after 10 --times 20"),
    Some("busy"),
    Some("corrupt"),
    Some("zero"),
    Some("wrong-key"),
    Some("wrong-message"),
    Some("wipe"),
    Some("pin-locked"),
    Some("poison --times always"),
    Some("self-test --probability 0.3"),
    Some("rv 0x80000384 --call all --probability 0.2"),
];

/// The module behind its raw function list.
pub(crate) struct Raw {
    pub(crate) list: CK_FUNCTION_LIST,
    _library: Library,
}

impl Raw {
    pub(crate) fn load(scratch: &Scratch) -> Self {
        Self::open(&copied_module(scratch.folder()))
    }

    pub(crate) fn open(module: &Path) -> Self {
        // SAFETY: a PKCS#11 module is made to be loaded.
        let library = unsafe { Library::new(module) }.unwrap();
        // SAFETY: the symbol has this type in every PKCS#11 module.
        let entry: Symbol<'_, unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV> =
            unsafe { library.get(b"C_GetFunctionList") }.unwrap();
        let mut list = null_mut();
        // SAFETY: `list` is good for a write.
        assert_eq!(unsafe { entry(&raw mut list) }, CKR_OK);
        // SAFETY: the module gave the list, which lives as long as it.
        let list = unsafe { *list };
        Self { list, _library: library }
    }

    pub(crate) fn initialise(&self, scratch: &Scratch) {
        // SAFETY: null asks for the defaults.
        let answer =
            with_folder(Some(&scratch.state()), || unsafe { self.list.C_Initialize.unwrap()(null_mut()) });
        assert_eq!(answer, CKR_OK);
    }
}

/// What one call is given.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    pub(crate) call: usize,
    pub(crate) handle: CK_ULONG,
    other: CK_ULONG,
    flags: CK_ULONG,
    pub(crate) nulls: u8,
    length: usize,
    attributes: Vec<(CK_ATTRIBUTE_TYPE, Vec<u8>)>,
    mechanism: CK_MECHANISM_TYPE,
    pub(crate) parameter: usize,
}

fn number() -> impl Strategy<Value = CK_ULONG> {
    prop_oneof![8 => 0..12_u64, 1 => Just(CK_ULONG::MAX), 1 => any::<CK_ULONG>()]
}

fn attribute() -> impl Strategy<Value = (CK_ATTRIBUTE_TYPE, Vec<u8>)> {
    let kind = prop_oneof![
        Just(CKA_CLASS),
        Just(CKA_TOKEN),
        Just(CKA_PRIVATE),
        Just(CKA_LABEL),
        Just(CKA_VALUE),
        Just(CKA_ID),
        Just(CKA_EC_PARAMS),
        Just(CKA_EC_POINT),
        Just(CKA_ALLOWED_MECHANISMS),
        any::<CK_ATTRIBUTE_TYPE>(),
    ];
    let value = prop_oneof![
        Just(vec![CK_TRUE]),
        Just(vec![CK_FALSE]),
        Just(CKO_DATA.to_ne_bytes().to_vec()),
        Just(crate::scratch::CURVE.to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    (kind, value)
}

pub(crate) fn draw() -> impl Strategy<Value = Draw> {
    let mechanism = prop_oneof![Just(CKM_EDDSA), Just(CKM_EC_EDWARDS_KEY_PAIR_GEN), any::<CK_ULONG>()];
    let length = prop_oneof![Just(0), Just(1), Just(8), Just(63), Just(64), 0..=ROOM];
    let nulls = prop_oneof![3 => Just(0_u8), 1 => any::<u8>()];
    let attributes = proptest::collection::vec(attribute(), 0..6);
    let parameter = prop_oneof![2 => Just(0_usize), 1 => 0..=40_usize];
    ((0..36_usize, number(), number(), 0..8_u64, nulls, length), (attributes, mechanism, parameter)).prop_map(
        |((call, handle, other, flags, nulls, length), (attributes, mechanism, parameter))| Draw {
            call,
            handle,
            other,
            flags,
            nulls,
            length,
            attributes,
            mechanism,
            parameter,
        },
    )
}

/// The memory of one call, with guards behind what the module is told of.
pub(crate) struct Memory {
    buffer: Vec<u8>,
    numbers: Vec<CK_ULONG>,
    pub(crate) count: CK_ULONG,
    pub(crate) second: CK_ULONG,
    values: Vec<Vec<u8>>,
    pub(crate) attributes: Vec<CK_ATTRIBUTE>,
    parameter: Vec<u8>,
    mechanism: CK_MECHANISM,
}

impl Memory {
    pub(crate) fn new(draw: &Draw) -> Self {
        let mut values: Vec<Vec<u8>> = draw.attributes.iter().map(|(_, value)| value.clone()).collect();
        let described = draw.attributes.iter().zip(&mut values);
        let attributes = described.map(|((kind, _), value)| CK_ATTRIBUTE {
            type_: *kind,
            pValue: value.as_mut_ptr().cast(),
            ulValueLen: value.len() as CK_ULONG,
        });
        let attributes = attributes.collect();
        let mut parameter = vec![0; 40];
        let mechanism = CK_MECHANISM {
            mechanism: draw.mechanism,
            pParameter: parameter.as_mut_ptr().cast::<c_void>(),
            ulParameterLen: draw.parameter as CK_ULONG,
        };
        Self {
            buffer: vec![GUARD; ROOM * 2],
            numbers: vec![CK_ULONG::MAX; ROOM * 2],
            count: draw.length as CK_ULONG,
            second: 0,
            values,
            attributes,
            parameter,
            mechanism,
        }
    }

    fn check(&self, draw: &Draw) {
        assert!(
            self.buffer[draw.length.max(ROOM)..].iter().all(|&byte| byte == GUARD),
            "bytes past {draw:?}"
        );
        assert!(self.numbers[ROOM..].iter().all(|&number| number == CK_ULONG::MAX), "numbers past {draw:?}");
        assert_eq!((self.values.len(), self.parameter.len()), (self.attributes.len(), 40));
    }
}

/// `pointer`, or null when the draw says so.
fn unless<T>(draw: &Draw, bit: u8, pointer: *mut T) -> *mut T {
    if draw.nulls & (1 << bit) == 0 { pointer } else { null_mut() }
}

/// One call. Every pointer that is not null has the room that its length claims.
pub(crate) fn call(list: &CK_FUNCTION_LIST, draw: &Draw, memory: &mut Memory) -> CK_RV {
    let (handle, other) = (draw.handle, draw.other);
    let length = draw.length as CK_ULONG;
    let described = memory.attributes.len() as CK_ULONG;
    let bytes = unless(draw, 0, memory.buffer.as_mut_ptr());
    let numbers = unless(draw, 1, memory.numbers.as_mut_ptr());
    let count = unless(draw, 2, &raw mut memory.count);
    let second = unless(draw, 3, &raw mut memory.second);
    let attributes = unless(draw, 4, memory.attributes.as_mut_ptr());
    let mechanism = unless(draw, 5, &raw mut memory.mechanism);
    let into = |_: ()| bytes.cast::<c_void>();
    macro_rules! go {
        ($name:ident($($argument:expr),*)) => {
            // SAFETY: the contract of PKCS#11 is kept: null, or room for what the length says.
            unsafe { list.$name.unwrap()($($argument),*) }
        };
    }
    match draw.call {
        0 => go!(C_GetInfo(into(()).cast())),
        1 => go!(C_GetSlotList(1, numbers, count)),
        2 => go!(C_GetSlotInfo(handle, into(()).cast())),
        3 => go!(C_GetTokenInfo(handle, into(()).cast())),
        4 => go!(C_GetMechanismList(handle, numbers, count)),
        5 => go!(C_GetMechanismInfo(handle, draw.mechanism, into(()).cast())),
        6 => go!(C_InitToken(handle, bytes, length.min(8), unless(draw, 6, memory.parameter.as_mut_ptr()))),
        7 => go!(C_InitPIN(handle, bytes, length)),
        8 => go!(C_SetPIN(handle, bytes, length, bytes, length)),
        9 => go!(C_OpenSession(handle, draw.flags, null_mut(), None, second)),
        10 => go!(C_CloseSession(handle)),
        11 => go!(C_CloseAllSessions(handle)),
        12 => go!(C_GetSessionInfo(handle, into(()).cast())),
        13 => go!(C_Login(handle, other, bytes, length)),
        14 => go!(C_Logout(handle)),
        15 => go!(C_CreateObject(handle, attributes, described, second)),
        16 => go!(C_DestroyObject(handle, other)),
        17 => go!(C_GetAttributeValue(handle, other, attributes, described)),
        18 => go!(C_SetAttributeValue(handle, other, attributes, described)),
        19 => go!(C_FindObjectsInit(handle, attributes, described)),
        20 => go!(C_FindObjects(handle, numbers, length, second)),
        21 => go!(C_FindObjectsFinal(handle)),
        22 => go!(C_SignInit(handle, mechanism, other)),
        23 => go!(C_Sign(handle, bytes, length, memory.buffer.as_mut_ptr(), count)),
        24 => go!(C_Sign(handle, bytes, length, null_mut(), count)),
        25 => go!(C_VerifyInit(handle, mechanism, other)),
        26 => go!(C_Verify(handle, bytes, length, bytes, length.min(64))),
        27 => go!(C_GenerateKeyPair(
            handle, mechanism, attributes, described, attributes, described, second, count
        )),
        28 => go!(C_SeedRandom(handle, bytes, length)),
        29 => go!(C_GenerateRandom(handle, bytes, length)),
        30 => go!(C_WaitForSlotEvent(draw.flags | CKF_DONT_BLOCK, second, null_mut())),
        31 => go!(C_GetFunctionStatus(handle)),
        32 => go!(C_DigestInit(handle, mechanism)),
        33 => go!(C_EncryptInit(handle, mechanism, other)),
        34 => go!(C_SignUpdate(handle, bytes, length)),
        _ => go!(C_CopyObject(handle, other, attributes, described, second)),
    }
}

/// A slot with both PINs and a pair of keys, and the user logged in, through the raw calls: slot, session, private key.
pub(crate) fn provision(list: &CK_FUNCTION_LIST) -> (CK_SLOT_ID, CK_SESSION_HANDLE, CK_OBJECT_HANDLE) {
    let mut pin = *b"56785678";
    let mut label = [b' '; 32];
    let (mut session, mut public, mut private) = (0, 0, 0);
    let mut curve = crate::scratch::CURVE.to_vec();
    let mut template = [CK_ATTRIBUTE {
        type_: CKA_EC_PARAMS,
        pValue: curve.as_mut_ptr().cast(),
        ulValueLen: curve.len() as CK_ULONG,
    }];
    let mut mechanism =
        CK_MECHANISM { mechanism: CKM_EC_EDWARDS_KEY_PAIR_GEN, pParameter: null_mut(), ulParameterLen: 0 };
    let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
    macro_rules! fine {
        ($name:ident($($argument:expr),*)) => {
            // SAFETY: every pointer has the room that its length claims.
            assert_eq!(unsafe { list.$name.unwrap()($($argument),*) }, CKR_OK, stringify!($name))
        };
    }
    let (mut slots, mut count) = ([0; 8], 8);
    fine!(C_InitToken(0, pin.as_mut_ptr(), 8, label.as_mut_ptr()));
    // The list is read in two calls: some modules number their slots anew when they are asked for the length.
    fine!(C_GetSlotList(CK_TRUE, null_mut(), &raw mut count));
    fine!(C_GetSlotList(CK_TRUE, slots.as_mut_ptr(), &raw mut count));
    fine!(C_OpenSession(slots[0], flags, null_mut(), None, &raw mut session));
    fine!(C_Login(session, CKU_SO, pin.as_mut_ptr(), 8));
    fine!(C_InitPIN(session, pin.as_mut_ptr(), 8));
    fine!(C_Logout(session));
    fine!(C_Login(session, CKU_USER, pin.as_mut_ptr(), 8));
    fine!(C_GenerateKeyPair(
        session,
        &raw mut mechanism,
        template.as_mut_ptr(),
        1,
        null_mut(),
        0,
        &raw mut public,
        &raw mut private
    ));
    (slots[0], session, private)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_calls_crashes_it(provisioned: bool, fault in 0..FAULTS.len(), draws in proptest::collection::vec(draw(), 1..120)) {
        // One copy for all cases: each that is loaded stays, and takes one of the process's few thread-local keys.
        static LOADED: LazyLock<Raw> = LazyLock::new(|| Raw::load(&Scratch::new()));
        let (raw, scratch) = (&*LOADED, Scratch::new());
        raw.initialise(&scratch);
        if provisioned {
            provision(&raw.list);
        }
        if let Some(fault) = FAULTS[fault] {
            ask(&scratch.state(), &format!("inject {fault}")).unwrap();
        }
        for draw in draws {
            let mut memory = Memory::new(&draw);
            let answer = call(&raw.list, &draw, &mut memory);
            prop_assert_ne!(answer, CKR_GENERAL_ERROR, "{:?}", draw);
            memory.check(&draw);
        }
        ask(&scratch.state(), "clear").unwrap();
        // SAFETY: null is what the argument has to be.
        prop_assert_eq!(unsafe { raw.list.C_Finalize.unwrap()(null_mut()) }, CKR_OK);
    }
}

#[test]
fn every_entry_of_the_list_is_there() {
    let scratch = Scratch::new();
    let raw = Raw::load(&scratch);
    assert_eq!((raw.list.version.major, raw.list.version.minor), (2, 40));
    let (version, entries) = (size_of::<CK_ULONG>(), size_of::<CK_FUNCTION_LIST>() / size_of::<usize>());
    // SAFETY: after the version, padded to a word, the list is nothing but function pointers.
    let words = unsafe { std::slice::from_raw_parts((&raw const raw.list).cast::<usize>(), entries) };
    assert_eq!((version, entries), (8, 69));
    assert!(words.iter().skip(1).all(|&word| word != 0));
}

#[test]
fn there_is_no_way_in_beside_the_list() {
    let scratch = Scratch::new();
    // SAFETY: the module runs no code when it is loaded.
    let library = unsafe { Library::new(copied_module(scratch.folder())) }.unwrap();
    for name in ["C_Initialize", "C_Sign", "C_GetInterface", "C_GetInterfaceList"] {
        // SAFETY: the symbol is only looked for.
        let found: Result<Symbol<'_, *const c_void>, _> = unsafe { library.get(name.as_bytes()) };
        assert!(found.is_err(), "{name} is exported");
    }
}

#[test]
fn nothing_works_before_it_is_initialised() {
    let scratch = Scratch::new();
    let raw = Raw::load(&scratch);
    let mut count = 0;
    // SAFETY: `count` is good for reads and writes.
    let listed = unsafe { raw.list.C_GetSlotList.unwrap()(CK_FALSE, null_mut(), &raw mut count) };
    assert_eq!(listed, CKR_CRYPTOKI_NOT_INITIALIZED);
    // SAFETY: null asks for the defaults.
    assert_eq!(unsafe { raw.list.C_Finalize.unwrap()(null_mut()) }, CKR_CRYPTOKI_NOT_INITIALIZED);
    raw.initialise(&scratch);
    // SAFETY: null asks for the defaults.
    assert_eq!(unsafe { raw.list.C_Initialize.unwrap()(null_mut()) }, CKR_CRYPTOKI_ALREADY_INITIALIZED);
    // SAFETY: null is what the argument has to be.
    assert_eq!(unsafe { raw.list.C_Finalize.unwrap()(null_mut()) }, CKR_OK);
    raw.initialise(&scratch);
}

#[test]
fn asking_for_the_length_leaves_the_signature_due() {
    let scratch = Scratch::new();
    let raw = Raw::load(&scratch);
    raw.initialise(&scratch);
    let (_, session, key) = provision(&raw.list);
    let mut mechanism = CK_MECHANISM { mechanism: CKM_EDDSA, pParameter: null_mut(), ulParameterLen: 0 };
    let mut buffer = [GUARD; 65];
    let mut data = *b"assent";
    // SAFETY: the mechanism is good for reads.
    let mut begin = || unsafe { raw.list.C_SignInit.unwrap()(session, &raw mut mechanism, key) };
    let mut sign = |to: *mut u8, room: CK_ULONG| {
        let mut count = room;
        // SAFETY: `to` is null or has room for 65 bytes, and `room` says no more.
        let answer = unsafe { raw.list.C_Sign.unwrap()(session, data.as_mut_ptr(), 6, to, &raw mut count) };
        (answer, count)
    };
    assert_eq!(begin(), CKR_OK);
    assert_eq!(begin(), CKR_OPERATION_ACTIVE);
    assert_eq!(sign(null_mut(), 0), (CKR_OK, 64));
    assert_eq!(sign(buffer.as_mut_ptr(), 63), (CKR_BUFFER_TOO_SMALL, 64));
    assert_eq!(buffer, [GUARD; 65]);
    assert_eq!(sign(buffer.as_mut_ptr(), 65), (CKR_OK, 64));
    assert_eq!(buffer[64], GUARD);
    assert_eq!(sign(buffer.as_mut_ptr(), 65).0, CKR_OPERATION_NOT_INITIALIZED);
}
