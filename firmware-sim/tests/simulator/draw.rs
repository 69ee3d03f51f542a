//! Draws: one call of the C ABI each, with whatever handles, nulls, lengths and templates came up.
//!
//! The memory behind a call is guarded, and every pointer that is not null has the room that its length claims; the exception is a
//! length that is past every limit, which the module has to refuse before it looks.

use std::ffi::c_void;
use std::ptr::null_mut;

use cryptoki_sys::*;
use proptest::prelude::*;

const ROOM: usize = 512;
const GUARD: u8 = 0xa5;

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
    /// A length that is past every limit, in place of what the module only reads.
    pub(crate) lie: Option<CK_ULONG>,
    /// Which of what is known to be there it is about, if any: see [`Known`].
    steer: u8,
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

/// A draw of the first so many calls.
pub(crate) fn draw(calls: usize) -> impl Strategy<Value = Draw> {
    let mechanism = prop_oneof![Just(CKM_EDDSA), Just(CKM_EC_EDWARDS_KEY_PAIR_GEN), any::<CK_ULONG>()];
    let length = prop_oneof![Just(0), Just(1), Just(8), Just(63), Just(64), 0..=ROOM];
    let past = [CK_ULONG::MAX, CK_ULONG::MAX / 2, 1 << 40];
    let lie = prop_oneof![4 => Just(None), 1 => proptest::sample::select(past.to_vec()).prop_map(Some)];
    let nulls = prop_oneof![3 => Just(0_u8), 1 => any::<u8>()];
    let attributes = proptest::collection::vec(attribute(), 0..6);
    let parameter = prop_oneof![2 => Just(0_usize), 1 => 0..=40_usize];
    (
        (0..calls, number(), number(), 0..8_u64, nulls, length),
        (attributes, mechanism, parameter, lie, any::<u8>()),
    )
        .prop_map(
            |(
                (call, handle, other, flags, nulls, length),
                (attributes, mechanism, parameter, lie, steer),
            )| {
                Draw {
                    call,
                    handle,
                    other,
                    flags,
                    nulls,
                    length,
                    attributes,
                    mechanism,
                    parameter,
                    lie,
                    steer,
                }
            },
        )
}

/// The right PIN of both, as [`crate::raw::provision`] sets it.
const PIN: &[u8] = b"56785678";
/// The calls that end everything: most of them are left out.
const ENDS: [usize; 3] = [6, 11, COMMON + 1];

/// What calls gave that others can be about, so that not all of them come to nothing.
#[derive(Debug, Default)]
pub(crate) struct Known {
    sessions: Vec<CK_ULONG>,
    objects: Vec<CK_ULONG>,
    /// A session in which a signature was begun.
    signing: Option<CK_ULONG>,
}

impl Known {
    /// Makes three of four draws be about what is known, with the right PIN; none when it would end too much.
    pub(crate) fn steer(&self, draw: Draw) -> Option<Draw> {
        if ENDS.contains(&draw.call) && draw.steer >> 3 != 0 {
            return None;
        }
        if draw.steer & 0b11 == 0 {
            return Some(draw);
        }
        let nth = usize::from(draw.steer >> 2);
        let one = |known: &[CK_ULONG], drawn| known.get(nth % known.len().max(1)).copied().unwrap_or(drawn);
        let takes_slot = matches!(draw.call, 2..=6 | 9 | 11);
        let handle =
            if takes_slot { CK_ULONG::from(draw.steer >> 7) } else { one(&self.sessions, draw.handle) };
        // A login is that of one user or the other; what else is about an object finds one.
        let other = if draw.call == 13 { draw.other % 2 } else { one(&self.objects, draw.other) };
        let length = if matches!(draw.call, 6 | 7 | 8 | 13) { PIN.len() } else { draw.length };
        let mut steered = Draw { handle, other, length, ..draw };
        if let Some(session) = self.signing.filter(|_| draw.steer & 0b100 != 0) {
            return Some(Draw { call: 23, handle: session, length: 64 + length, nulls: 0, ..steered });
        }
        match draw.call {
            // A session needs its flag.
            9 => steered.flags |= CKF_SERIAL_SESSION,
            15 if nth % 2 == 0 => {
                steered.attributes =
                    vec![(CKA_CLASS, CKO_DATA.to_ne_bytes().to_vec()), (CKA_VALUE, vec![draw.steer])];
            }
            22 | 25 => (steered.mechanism, steered.parameter) = (CKM_EDDSA, 0),
            27 => {
                (steered.mechanism, steered.parameter, steered.flags) = (CKM_EC_EDWARDS_KEY_PAIR_GEN, 0, 0);
                steered.attributes = vec![(CKA_EC_PARAMS, crate::scratch::CURVE.to_vec())];
            }
            _ => {}
        }
        Some(steered)
    }

    /// Remembers what a call gave that was answered with OK.
    pub(crate) fn learn(&mut self, draw: &Draw, memory: &Memory) {
        match draw.call {
            9 => self.sessions.push(memory.second),
            15 => self.objects.push(memory.second),
            22 => self.signing = Some(draw.handle),
            23 => self.signing = None,
            20 => {
                self.objects.extend(memory.numbers.iter().take(4).filter(|&&number| number != CK_ULONG::MAX))
            }
            27 => self.objects.extend([memory.second, memory.count]),
            _ => {}
        }
        self.sessions.drain(..self.sessions.len().saturating_sub(2));
        self.objects.drain(..self.objects.len().saturating_sub(6));
    }
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
        let mut buffer = vec![GUARD; ROOM * 2];
        if draw.steer & 0b11 != 0 {
            buffer[..PIN.len()].copy_from_slice(PIN);
        }
        Self {
            buffer,
            numbers: vec![CK_ULONG::MAX; ROOM * 2],
            count: draw.length as CK_ULONG,
            second: 0,
            values,
            attributes,
            parameter,
            mechanism,
        }
    }

    /// What `C_Initialize` may be given: none, some or all of the mutexes, any flags, and a pointer where none should be.
    fn arguments(&self, draw: &Draw) -> CK_C_INITIALIZE_ARGS {
        unsafe extern "C" fn create(_: *mut *mut c_void) -> CK_RV {
            CKR_OK
        }
        unsafe extern "C" fn other(_: *mut c_void) -> CK_RV {
            CKR_OK
        }
        let mutexes = draw.other % 3;
        CK_C_INITIALIZE_ARGS {
            CreateMutex: (mutexes > 0).then_some(create),
            DestroyMutex: (mutexes > 0).then_some(other),
            LockMutex: (mutexes > 1).then_some(other),
            UnlockMutex: (mutexes > 1).then_some(other),
            flags: draw.flags,
            pReserved: if draw.length == 1 {
                (&raw const self.parameter).cast_mut().cast()
            } else {
                null_mut()
            },
        }
    }

    pub(crate) fn check(&self, draw: &Draw) {
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

/// Calls that the simulator and a real module are both given.
pub(crate) const COMMON: usize = 36;
/// All: every function of the list.
pub(crate) const ALL: usize = COMMON + 33;

/// One call.
pub(crate) fn call(list: &CK_FUNCTION_LIST, draw: &Draw, memory: &mut Memory) -> CK_RV {
    let (handle, other) = (draw.handle, draw.other);
    let length = draw.length as CK_ULONG;
    // What goes in, and how many attributes do.
    let given = draw.lie.unwrap_or(length);
    let described = memory.attributes.len() as CK_ULONG;
    let template = draw.lie.unwrap_or(described);
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
        7 => go!(C_InitPIN(handle, bytes, given)),
        8 => go!(C_SetPIN(handle, bytes, length, bytes, given)),
        9 => go!(C_OpenSession(handle, draw.flags, null_mut(), None, second)),
        10 => go!(C_CloseSession(handle)),
        11 => go!(C_CloseAllSessions(handle)),
        12 => go!(C_GetSessionInfo(handle, into(()).cast())),
        13 => go!(C_Login(handle, other, bytes, given)),
        14 => go!(C_Logout(handle)),
        15 => go!(C_CreateObject(handle, attributes, template, second)),
        16 => go!(C_DestroyObject(handle, other)),
        17 => go!(C_GetAttributeValue(handle, other, attributes, template)),
        18 => go!(C_SetAttributeValue(handle, other, attributes, template)),
        19 => go!(C_FindObjectsInit(handle, attributes, template)),
        20 => go!(C_FindObjects(handle, numbers, length, second)),
        21 => go!(C_FindObjectsFinal(handle)),
        22 => go!(C_SignInit(handle, mechanism, other)),
        23 => go!(C_Sign(handle, bytes, given, memory.buffer.as_mut_ptr(), count)),
        24 => go!(C_Sign(handle, bytes, given, null_mut(), count)),
        25 => go!(C_VerifyInit(handle, mechanism, other)),
        26 => go!(C_Verify(handle, bytes, given, bytes, length.min(64))),
        // With the flags zero the private key has no template of its own.
        27 => go!(C_GenerateKeyPair(
            handle,
            mechanism,
            attributes,
            described,
            attributes,
            template * draw.flags.min(1),
            second,
            count
        )),
        28 => go!(C_SeedRandom(handle, bytes, given)),
        29 => go!(C_GenerateRandom(handle, bytes, given)),
        30 => go!(C_WaitForSlotEvent(draw.flags | CKF_DONT_BLOCK, second, null_mut())),
        31 => go!(C_GetFunctionStatus(handle)),
        32 => go!(C_DigestInit(handle, mechanism)),
        33 => go!(C_EncryptInit(handle, mechanism, other)),
        34 => go!(C_SignUpdate(handle, bytes, given)),
        35 => go!(C_CopyObject(handle, other, attributes, described, second)),
        _ => rarely(list, draw, memory),
    }
}

/// The calls that only the simulator is given: the start, the end, and what it cannot do.
fn rarely(list: &CK_FUNCTION_LIST, draw: &Draw, memory: &mut Memory) -> CK_RV {
    let (handle, other) = (draw.handle, draw.other);
    let given = draw.lie.unwrap_or(draw.length as CK_ULONG);
    let described = draw.lie.unwrap_or(memory.attributes.len() as CK_ULONG);
    let bytes = unless(draw, 0, memory.buffer.as_mut_ptr());
    let count = unless(draw, 2, &raw mut memory.count);
    let second = unless(draw, 3, &raw mut memory.second);
    let attributes = unless(draw, 4, memory.attributes.as_mut_ptr());
    let mechanism = unless(draw, 5, &raw mut memory.mechanism);
    let mut arguments = memory.arguments(draw);
    let mut function_list = null_mut();
    macro_rules! go {
        ($name:ident($($argument:expr),*)) => {
            // SAFETY: as in `call`.
            unsafe { list.$name.unwrap()($($argument),*) }
        };
    }
    match draw.call - COMMON {
        0 => go!(C_Initialize(unless(draw, 1, (&raw mut arguments).cast()))),
        1 => go!(C_Finalize(if draw.flags == 7 { bytes.cast() } else { null_mut() })),
        2 => go!(C_GetFunctionList(unless(draw, 1, &raw mut function_list))),
        3 => go!(C_GetOperationState(handle, bytes, count)),
        4 => go!(C_SetOperationState(handle, bytes, given, other, handle)),
        5 => go!(C_GetObjectSize(handle, other, second)),
        6 => go!(C_Encrypt(handle, bytes, given, bytes, count)),
        7 => go!(C_EncryptUpdate(handle, bytes, given, bytes, count)),
        8 => go!(C_EncryptFinal(handle, bytes, count)),
        9 => go!(C_DecryptInit(handle, mechanism, other)),
        10 => go!(C_Decrypt(handle, bytes, given, bytes, count)),
        11 => go!(C_DecryptUpdate(handle, bytes, given, bytes, count)),
        12 => go!(C_DecryptFinal(handle, bytes, count)),
        13 => go!(C_Digest(handle, bytes, given, bytes, count)),
        14 => go!(C_DigestUpdate(handle, bytes, given)),
        15 => go!(C_DigestKey(handle, other)),
        16 => go!(C_DigestFinal(handle, bytes, count)),
        17 => go!(C_SignFinal(handle, bytes, count)),
        18 => go!(C_SignRecoverInit(handle, mechanism, other)),
        19 => go!(C_SignRecover(handle, bytes, given, bytes, count)),
        20 => go!(C_VerifyUpdate(handle, bytes, given)),
        21 => go!(C_VerifyFinal(handle, bytes, given)),
        22 => go!(C_VerifyRecoverInit(handle, mechanism, other)),
        23 => go!(C_VerifyRecover(handle, bytes, given, bytes, count)),
        24 => go!(C_DigestEncryptUpdate(handle, bytes, given, bytes, count)),
        25 => go!(C_DecryptDigestUpdate(handle, bytes, given, bytes, count)),
        26 => go!(C_SignEncryptUpdate(handle, bytes, given, bytes, count)),
        27 => go!(C_DecryptVerifyUpdate(handle, bytes, given, bytes, count)),
        28 => go!(C_GenerateKey(handle, mechanism, attributes, described, second)),
        29 => go!(C_WrapKey(handle, mechanism, other, handle, bytes, count)),
        30 => go!(C_UnwrapKey(handle, mechanism, other, bytes, given, attributes, described, second)),
        31 => go!(C_DeriveKey(handle, mechanism, other, attributes, described, second)),
        _ => go!(C_CancelFunction(handle)),
    }
}
