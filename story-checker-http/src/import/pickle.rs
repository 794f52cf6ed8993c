//! A reader for the one kind of pickle that instaloader writes: a flat dictionary of texts.
//!
//! A pickle is a program, and Python runs it: whoever can change the file can run code. This reader
//! knows the operations that such a dictionary needs and refuses every other one by name. It copies
//! nothing and allocates for entries only, so a length that a file claims costs nothing.

use std::collections::BTreeMap;

use super::error::ImportError;

const MAX_ENTRIES: usize = 1_000;
const MAX_TEXT: usize = 16 * 1024;
/// What can be remembered: each name and value of the dictionary, and itself.
const MAX_MEMO: usize = 2 * MAX_ENTRIES + 1;

const PROTO: u8 = 0x80;
const FRAME: u8 = 0x95;
const EMPTY_DICT: u8 = b'}';
const MARK: u8 = b'(';
const SETITEM: u8 = b's';
const SETITEMS: u8 = b'u';
const SHORT_BINUNICODE: u8 = 0x8c;
const BINUNICODE: u8 = b'X';
const BINUNICODE8: u8 = 0x8d;
const BINPUT: u8 = b'q';
const LONG_BINPUT: u8 = b'r';
const BINGET: u8 = b'h';
const LONG_BINGET: u8 = b'j';
const MEMOIZE: u8 = 0x94;
const STOP: u8 = b'.';

/// The operations that import names, call them, or leave the work to somebody else.
const RUN_CODE: [(u8, &str); 13] = [
    (b'c', "GLOBAL"),
    (0x93, "STACK_GLOBAL"),
    (b'R', "REDUCE"),
    (b'i', "INST"),
    (b'o', "OBJ"),
    (0x81, "NEWOBJ"),
    (0x92, "NEWOBJ_EX"),
    (b'b', "BUILD"),
    (b'P', "PERSID"),
    (b'Q', "BINPERSID"),
    (0x82, "EXT1"),
    (0x83, "EXT2"),
    (0x84, "EXT4"),
];

/// The operations that build what no session holds.
const BUILD_OTHERS: [(u8, &str); 41] = [
    (b'I', "INT"),
    (b'J', "BININT"),
    (b'K', "BININT1"),
    (b'M', "BININT2"),
    (b'L', "LONG"),
    (0x8a, "LONG1"),
    (0x8b, "LONG4"),
    (b'S', "STRING"),
    (b'T', "BINSTRING"),
    (b'U', "SHORT_BINSTRING"),
    (b'B', "BINBYTES"),
    (b'C', "SHORT_BINBYTES"),
    (0x8e, "BINBYTES8"),
    (0x96, "BYTEARRAY8"),
    (0x97, "NEXT_BUFFER"),
    (0x98, "READONLY_BUFFER"),
    (b'N', "NONE"),
    (0x88, "NEWTRUE"),
    (0x89, "NEWFALSE"),
    (b'V', "UNICODE"),
    (b'F', "FLOAT"),
    (b'G', "BINFLOAT"),
    (b']', "EMPTY_LIST"),
    (b'a', "APPEND"),
    (b'e', "APPENDS"),
    (b'l', "LIST"),
    (b')', "EMPTY_TUPLE"),
    (b't', "TUPLE"),
    (0x85, "TUPLE1"),
    (0x86, "TUPLE2"),
    (0x87, "TUPLE3"),
    (b'd', "DICT"),
    (0x8f, "EMPTY_SET"),
    (0x90, "ADDITEMS"),
    (0x91, "FROZENSET"),
    (b'0', "POP"),
    (b'2', "DUP"),
    (b'1', "POP_MARK"),
    (b'g', "GET"),
    (b'p', "PUT"),
    (PROTO, "PROTO"),
];

/// Whether a file begins like a pickle of protocol 2 or later. No text does.
pub(super) fn is_pickle(file: &[u8]) -> bool {
    file.first() == Some(&PROTO)
}

/// Reads the names and values of the dictionary.
pub(super) fn read(file: &[u8]) -> Result<Vec<(&str, &str)>, ImportError> {
    let mut input = Input { file, at: 0 };
    if input.take(1)? != [PROTO] {
        return Err(ImportError::byte(0, "it is no pickle of protocol 2 to 5"));
    }
    let [protocol] = input.array()?;
    if !(2..=5).contains(&protocol) {
        return Err(ImportError::byte(1, "its protocol is none of 2 to 5: save the session again"));
    }
    let mut machine = Machine::default();
    loop {
        let at = input.at;
        let [operation] = input.array()?;
        if operation == STOP {
            break;
        }
        machine.run(operation, &mut input).map_err(|problem| problem.at(at, operation))?;
    }
    let at = input.at;
    if at != file.len() {
        return Err(ImportError::byte(at, "there is more after the end of the pickle"));
    }
    match machine.stack[..] {
        [Value::Dict] => Ok(machine.entries),
        _ => Err(ImportError::byte(at, NOT_FLAT)),
    }
}

const NOT_FLAT: &str = "it is not one flat dictionary of texts, as instaloader writes it";
const TOO_SHORT: &str = "the file ends too early: copy it again";
const TOO_BIG: &str = "it is larger than any session: save the session again";

/// Why an operation cannot be done.
enum Problem {
    Refused,
    What(&'static str),
    Where(ImportError),
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        Self::Where(error)
    }
}

impl Problem {
    fn at(self, at: usize, operation: u8) -> ImportError {
        let named = |table: &[(u8, &'static str)]| {
            table.iter().find(|(byte, _)| *byte == operation).map(|(_, name)| *name)
        };
        match self {
            Self::Where(error) => error,
            Self::What(what) => ImportError::byte(at, what),
            Self::Refused => {
                let what = match (named(&RUN_CODE), named(&BUILD_OTHERS)) {
                    (Some(name), _) => format!(
                        "the operation {name}: this file wants to run code, and is refused; use \
                         only a session file that you made yourself"
                    ),
                    (None, Some(name)) => format!("the operation {name}: {NOT_FLAT}"),
                    (None, None) => format!("the operation 0x{operation:02x} is unknown"),
                };
                ImportError::byte(at, what)
            }
        }
    }
}

struct Input<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ImportError> {
        let rest = self.file.get(self.at..).unwrap_or_default();
        let taken = rest.get(..length).ok_or_else(|| ImportError::byte(self.at, TOO_SHORT))?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ImportError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn index(&mut self, long: bool) -> Result<u32, ImportError> {
        Ok(if long {
            u32::from_le_bytes(self.array()?)
        } else {
            u8::from_le_bytes(self.array()?).into()
        })
    }

    fn length(&mut self, bytes: usize) -> Result<u64, ImportError> {
        let little = self.take(bytes)?;
        Ok(little.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte)))
    }

    fn text(&mut self, bytes: usize) -> Result<&'a str, Problem> {
        let length = self.length(bytes)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_TEXT);
        let text = self.take(length.ok_or(Problem::What(TOO_BIG))?)?;
        std::str::from_utf8(text).map_err(|_| Problem::What("a text is not UTF-8"))
    }
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Dict,
    Mark,
    Text(&'a str),
}

/// What runs the operations.
#[derive(Default)]
struct Machine<'a> {
    stack: Vec<Value<'a>>,
    memo: BTreeMap<u32, Value<'a>>,
    entries: Vec<(&'a str, &'a str)>,
    has_dict: bool,
}

impl<'a> Machine<'a> {
    fn run(&mut self, operation: u8, input: &mut Input<'a>) -> Result<(), Problem> {
        match operation {
            FRAME => {
                let length = input.length(8)?;
                let rest = input.file.len() - input.at;
                if usize::try_from(length).map_or(true, |length| length > rest) {
                    return Err(Problem::What(TOO_SHORT));
                }
                Ok(())
            }
            EMPTY_DICT if self.has_dict => Err(Problem::What(NOT_FLAT)),
            EMPTY_DICT => {
                self.has_dict = true;
                self.push(Value::Dict)
            }
            MARK => self.push(Value::Mark),
            SHORT_BINUNICODE => self.push(Value::Text(input.text(1)?)),
            BINUNICODE => self.push(Value::Text(input.text(4)?)),
            BINUNICODE8 => self.push(Value::Text(input.text(8)?)),
            BINPUT | LONG_BINPUT => {
                let index = input.index(operation == LONG_BINPUT)?;
                self.remember(index)
            }
            MEMOIZE => {
                let index = u32::try_from(self.memo.len()).map_err(|_| Problem::What(TOO_BIG))?;
                self.remember(index)
            }
            BINGET | LONG_BINGET => {
                let index = input.index(operation == LONG_BINGET)?;
                let known = self.memo.get(&index).copied();
                self.push(known.ok_or(Problem::What("it refers to something it does not hold"))?)
            }
            SETITEM => self.set_items(self.stack.len().checked_sub(2)),
            SETITEMS => {
                let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
                if let Some(mark) = mark {
                    self.stack.remove(mark);
                }
                self.set_items(mark)
            }
            _ => Err(Problem::Refused),
        }
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), Problem> {
        // The dictionary, a mark, and the entries that are not set yet.
        if self.stack.len() >= 2 * MAX_ENTRIES + 2 {
            return Err(Problem::What(TOO_BIG));
        }
        self.stack.push(value);
        Ok(())
    }

    fn remember(&mut self, index: u32) -> Result<(), Problem> {
        match self.stack.last() {
            None | Some(Value::Mark) => Err(Problem::What(NOT_FLAT)),
            Some(_) if self.memo.len() >= MAX_MEMO => Err(Problem::What(TOO_BIG)),
            Some(value) => {
                self.memo.insert(index, *value);
                Ok(())
            }
        }
    }

    /// Puts what stands on the stack from `start` into the dictionary below it.
    fn set_items(&mut self, start: Option<usize>) -> Result<(), Problem> {
        let not_flat = || Problem::What(NOT_FLAT);
        let start = start.filter(|start| *start > 0).ok_or_else(not_flat)?;
        let values = self.stack.split_off(start);
        if !matches!(self.stack.last(), Some(Value::Dict)) || !values.len().is_multiple_of(2) {
            return Err(not_flat());
        }
        for pair in values.chunks_exact(2) {
            let [Value::Text(name), Value::Text(value)] = *pair else { return Err(not_flat()) };
            if self.entries.len() >= MAX_ENTRIES {
                return Err(Problem::What(TOO_BIG));
            }
            self.entries.push((name, value));
        }
        Ok(())
    }
}
