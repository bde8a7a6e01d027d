//! A library whose program has its name and contains one of its modules once more.

mod shared;
