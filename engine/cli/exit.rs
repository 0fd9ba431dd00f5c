//! Exit codes, in one table.

use groma_engine::facade::Ended;
use std::process::ExitCode;

/// How the command ended, for the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Error,
    /// `-detailed-exitcode`: there are changes, deferred changes, or objects that are not settled.
    Changes,
    /// Something that was not in the approved plan waits for approval.
    Held,
    /// `fmt -check`: a file's layout differs.
    Unformatted,
    Interrupted,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Error => 1,
            Exit::Changes => 2,
            Exit::Held | Exit::Unformatted => 3,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

impl From<Ended> for Exit {
    fn from(ended: Ended) -> Exit {
        match ended {
            Ended::Done => Exit::Done,
            Ended::Failed => Exit::Error,
            Ended::Held => Exit::Held,
            Ended::Interrupted => Exit::Interrupted,
        }
    }
}
