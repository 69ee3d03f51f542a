//! Random numbers, from the operating system.
//!
//! The caller's seed is refused rather than mixed in: nobody can weaken what comes out. (PKCS#11 2.40, section 5.14.)

use crate::failure::Failure;
use crate::general::Module;
use crate::limits::MAX_RANDOM_BYTES;
use crate::sessions::SessionHandle;

impl Module {
    /// `C_GenerateRandom`: fills `buffer`.
    pub(crate) fn generate_random(&self, session: SessionHandle, buffer: &mut [u8]) -> Result<(), Failure> {
        self.state()?.session(session)?;
        if buffer.len() > MAX_RANDOM_BYTES {
            return Err(Failure::ArgumentsBad);
        }
        getrandom::fill(buffer).map_err(|_| Failure::DeviceError)
    }

    /// `C_SeedRandom`: refused.
    pub(crate) fn seed_random(&self, session: SessionHandle) -> Result<(), Failure> {
        self.state()?.session(session)?;
        Err(Failure::RandomSeedNotSupported)
    }
}
