//! Calls: the functions of PKCS#11 2.40 by name, as faults choose them.

use std::fmt;

macro_rules! calls {
    ($($name:ident)*) => {
        /// A function of PKCS#11.
        #[expect(non_camel_case_types, reason = "the calls have the names that PKCS#11 gives them")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Call {
            $($name,)*
            /// `C_Sign` without a buffer, which asks for the length only: a fault of signatures does not meet it.
            SignLength,
        }

        impl Call {
            const NAMED: &[(&str, Self)] = &[$((stringify!($name), Self::$name),)*];
        }
    };
}

calls! {
    C_Initialize C_Finalize C_GetInfo C_GetSlotList C_GetSlotInfo C_GetTokenInfo C_GetMechanismList C_GetMechanismInfo
    C_InitToken C_InitPIN C_SetPIN C_OpenSession C_CloseSession C_CloseAllSessions C_GetSessionInfo C_GetOperationState
    C_SetOperationState C_Login C_Logout C_CreateObject C_CopyObject C_DestroyObject C_GetObjectSize C_GetAttributeValue
    C_SetAttributeValue C_FindObjectsInit C_FindObjects C_FindObjectsFinal C_EncryptInit C_Encrypt C_EncryptUpdate
    C_EncryptFinal C_DecryptInit C_Decrypt C_DecryptUpdate C_DecryptFinal C_DigestInit C_Digest C_DigestUpdate C_DigestKey
    C_DigestFinal C_SignInit C_Sign C_SignUpdate C_SignFinal C_SignRecoverInit C_SignRecover C_VerifyInit C_Verify
    C_VerifyUpdate C_VerifyFinal C_VerifyRecoverInit C_VerifyRecover C_DigestEncryptUpdate C_DecryptDigestUpdate
    C_SignEncryptUpdate C_DecryptVerifyUpdate C_GenerateKey C_GenerateKeyPair C_WrapKey C_UnwrapKey C_DeriveKey C_SeedRandom
    C_GenerateRandom C_GetFunctionStatus C_CancelFunction C_WaitForSlotEvent
}

impl Call {
    /// The call of that name; `sign` is short for `C_Sign`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let name = if name == "sign" { "C_Sign" } else { name };
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, call)| *call)
    }

    /// Whether it acts in a session.
    pub(crate) const fn takes_session(self) -> bool {
        !self.is_general() && !self.is_of_slot()
    }

    /// Whether it is answered without a slot: it works with the device gone.
    pub(crate) const fn is_general(self) -> bool {
        matches!(self, Self::C_Initialize | Self::C_Finalize | Self::C_GetInfo | Self::C_WaitForSlotEvent)
    }

    /// Whether it takes a slot rather than a session.
    const fn is_of_slot(self) -> bool {
        matches!(
            self,
            Self::C_GetSlotList
                | Self::C_GetSlotInfo
                | Self::C_GetTokenInfo
                | Self::C_GetMechanismList
                | Self::C_GetMechanismInfo
                | Self::C_InitToken
                | Self::C_OpenSession
                | Self::C_CloseAllSessions
        )
    }
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}
