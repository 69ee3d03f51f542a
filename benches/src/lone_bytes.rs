//! Bytes of a lone intent's frame and of its answer, as the sample has them on the whole: what a bare exchange is to carry. `hot-path`,
//! which makes real ones, has a test of it.

pub(crate) const ASKED: usize = 190;
pub(crate) const ANSWERED: usize = 400;
