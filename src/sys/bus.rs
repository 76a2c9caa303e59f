//! As much of D-Bus as it takes to ask the service manager for something: one call, its answer, and the signals that
//! follow (D-Bus specification, "Message Protocol" and "Authentication Protocol"). Bytes in, bytes out; see
//! [`super::scope`] for who is asked.

/// These bytes are no message, or none for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what it said is no D-Bus")]
pub struct Garbled;

const CALL: u8 = 1;
pub const ANSWER: u8 = 2;
pub const ERROR: u8 = 3;
pub const SIGNAL: u8 = 4;

/// Longer ones (the specification allows 128 MiB) are not for us.
const MOST: usize = 1 << 20;
const FIXED: usize = 16;

/// Values one after the other, each where its kind may begin. Little-endian, whatever the machine.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn align(&mut self, to: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
        self
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.align(4).bytes.extend(value.to_le_bytes());
        self
    }

    /// A string or the path of an object.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.u32(length(text)).bytes.extend(text.bytes().chain([0]));
        self
    }

    fn signature(&mut self, text: &str) -> &mut Self {
        self.bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.bytes.extend(text.bytes().chain([0]));
        self
    }

    /// An array of what `fill` writes, whose elements begin at multiples of `to`.
    pub fn array(&mut self, to: usize, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let at = self.u32(0).bytes.len();
        let begin = self.align(to).bytes.len();
        fill(self);
        let size = u32::try_from(self.bytes.len() - begin).unwrap_or(u32::MAX);
        self.bytes[at - 4..at].copy_from_slice(&size.to_le_bytes());
        self
    }

    /// `(sv)`, one property.
    pub fn property(&mut self, name: &str, value: &Value<'_>) -> &mut Self {
        self.align(8).text(name);
        match value {
            Value::Flag(on) => self.signature("b").u32(u32::from(*on)),
            Value::Text(text) => self.signature("s").text(text),
            Value::Number(number) => {
                self.signature("t").align(8).bytes.extend(number.to_le_bytes());
                self
            }
            Value::Pids(pids) => self.signature("au").array(4, |w| {
                for pid in *pids {
                    w.u32(*pid);
                }
            }),
        }
    }
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

/// What a property may be.
#[derive(Debug)]
pub enum Value<'a> {
    Flag(bool),
    Text(&'a str),
    Number(u64),
    Pids(&'a [u32]),
}

/// Who is called: path, interface and method of an object, and by whom it is owned.
pub struct Method<'a> {
    pub owner: &'a str,
    pub path: &'a str,
    pub interface: &'a str,
    pub name: &'a str,
}

/// A method call with these arguments, number `serial` on its connection.
pub fn call(method: &Method<'_>, serial: u32, signature: &str, arguments: Writer) -> Vec<u8> {
    let mut out = Writer { bytes: vec![b'l', CALL, 0, 1] };
    let size = u32::try_from(arguments.bytes.len()).unwrap_or(u32::MAX);
    out.u32(size).u32(serial).array(8, |fields| {
        let named = [(1, "o", method.path), (2, "s", method.interface), (3, "s", method.name), (6, "s", method.owner)];
        for (code, kind, value) in named {
            fields.align(8).bytes.push(code);
            fields.signature(kind).text(value);
        }
        fields.align(8).bytes.push(8);
        fields.signature("g").signature(signature);
    });
    out.align(8).bytes.extend(arguments.bytes);
    out.bytes
}

/// What came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub kind: u8,
    /// Of a signal.
    pub member: String,
    /// Of an error.
    pub error: String,
    /// Which call this answers.
    pub answers: u32,
    /// The strings and paths in it, in order; numbers are left out.
    pub words: Vec<String>,
}

/// The first message of `bytes` and how long it is; nothing while it is not all there.
pub fn read(bytes: &[u8]) -> Result<Option<(Message, usize)>, Garbled> {
    let Some(fixed) = bytes.get(..FIXED) else { return Ok(None) };
    let little = match fixed[0] {
        b'l' => true,
        b'B' => false,
        _ => return Err(Garbled),
    };
    let mut reader = Reader { bytes, at: 4, little };
    let body = reader.size()?;
    reader.at = 12;
    let fields = reader.size()?;
    let body_at = (FIXED + fields).next_multiple_of(8);
    let Some(whole) = bytes.get(..body_at + body) else { return Ok(None) };
    let mut message = Message { kind: fixed[1], ..Message::default() };
    let mut signature = String::new();
    let mut head = Reader { bytes: &whole[..FIXED + fields], at: FIXED, little };
    while head.at < FIXED + fields {
        head.align(8);
        let code = head.byte()?;
        match (code, head.signature()?.as_str()) {
            (3, "s") => message.member = head.text()?,
            (4, "s") => message.error = head.text()?,
            (5, "u") => message.answers = head.u32()?,
            (8, "g") => signature = head.signature()?,
            (_, "s" | "o") => drop(head.text()?),
            (_, "u") => drop(head.u32()?),
            _ => return Err(Garbled),
        }
    }
    // Alignment counts from the beginning of the message, and the body begins at a multiple of eight.
    message.words = Reader { bytes: &whole[body_at..], at: 0, little }.words(&signature)?;
    Ok(Some((message, body_at + body)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    little: bool,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Garbled> {
        let taken = self.bytes.get(self.at..self.at + count).ok_or(Garbled)?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Garbled> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, Garbled> {
        self.align(4);
        let little = self.little;
        let four: [u8; 4] = self.take(4)?.try_into().map_err(|_| Garbled)?;
        Ok(if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
    }

    fn size(&mut self) -> Result<usize, Garbled> {
        usize::try_from(self.u32()?).ok().filter(|size| *size <= MOST).ok_or(Garbled)
    }

    fn text(&mut self) -> Result<String, Garbled> {
        let size = self.size()?;
        self.ended(size)
    }

    fn signature(&mut self) -> Result<String, Garbled> {
        let size = self.byte()?;
        self.ended(size.into())
    }

    fn ended(&mut self, size: usize) -> Result<String, Garbled> {
        let text = String::from_utf8(self.take(size)?.to_vec()).map_err(|_| Garbled)?;
        if self.byte()? == 0 { Ok(text) } else { Err(Garbled) }
    }

    /// Up to the first value of another kind: nothing behind it is asked for.
    fn words(&mut self, signature: &str) -> Result<Vec<String>, Garbled> {
        let mut words = Vec::new();
        for kind in signature.chars() {
            match kind {
                's' | 'o' => words.push(self.text()?),
                'u' => drop(self.u32()?),
                _ => break,
            }
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METHOD: Method<'static> = Method { owner: "a.b", path: "/a", interface: "a.b.C", name: "Do" };

    fn question() -> Vec<u8> {
        let mut arguments = Writer::default();
        arguments.text("x.scope").text("fail").array(8, |list| {
            list.property("PIDs", &Value::Pids(&[1, 2])).property("Delegate", &Value::Flag(true));
            list.property("Time", &Value::Number(1 << 40)).property("Name", &Value::Text("ü"));
        });
        call(&METHOD, 7, "ssa(sv)", arguments)
    }

    /// `JobRemoved`, number 9, as a machine of either kind sends it.
    fn signal(little: bool) -> Vec<u8> {
        let number = |n: u32| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let text = |text: &str| [&number(length(text))[..], text.as_bytes(), &[0]].concat();
        let padded = |mut bytes: Vec<u8>, to: usize| {
            bytes.resize(bytes.len().next_multiple_of(to), 0);
            bytes
        };
        let field = |code: u8, kind: u8, value: Vec<u8>| [&[code, 1, kind, 0][..], &value].concat();
        let mut fields = padded(field(1, b'o', text("/m")), 8);
        fields.extend(padded(field(3, b's', text("JobRemoved")), 8));
        fields.extend(field(8, b'g', [&[4][..], b"uoss\0"].concat()));
        let mut body = [number(5).to_vec(), text("/job/5")].concat();
        body = [padded(body, 4), text("x.scope")].concat();
        body = [padded(body, 4), text("done")].concat();
        let head = [&[if little { b'l' } else { b'B' }, SIGNAL, 0, 1][..], &number(length_of(&body)), &number(9)];
        let head = [&head.concat()[..], &number(length_of(&fields)), &fields].concat();
        [padded(head, 8), body].concat()
    }

    fn length_of(bytes: &[u8]) -> u32 {
        u32::try_from(bytes.len()).unwrap()
    }

    #[test]
    fn a_call_is_written_as_the_specification_says() {
        let mut arguments = Writer::default();
        arguments.text("x");
        let written = call(&METHOD, 7, "s", arguments);
        let expected = b"l\x01\0\x01\x06\0\0\0\x07\0\0\0\x47\0\0\0\
            \x01\x01o\0\x02\0\0\0/a\0\0\0\0\0\0\
            \x02\x01s\0\x05\0\0\0a.b.C\0\0\0\
            \x03\x01s\0\x02\0\0\0Do\0\0\0\0\0\0\
            \x06\x01s\0\x03\0\0\0a.b\0\0\0\0\0\
            \x08\x01g\0\x01s\0\0\
            \x01\0\0\0x\0";
        assert_eq!(written, expected);
    }

    #[test]
    fn a_message_is_read_once_it_is_all_there_whatever_the_machine() {
        for whole in [signal(true), signal(false)] {
            for end in 0..whole.len() {
                assert_eq!(read(&whole[..end]), Ok(None), "{end}");
            }
            let two = [&whole[..], &whole[..3]].concat();
            let (message, size) = read(&two).unwrap().unwrap();
            assert_eq!((message.kind, message.member.as_str(), size), (SIGNAL, "JobRemoved", whole.len()));
            assert_eq!(message.words, ["/job/5", "x.scope", "done"]);
        }
        let (message, _) = read(&question()).unwrap().unwrap();
        assert_eq!(message.words, ["x.scope", "fail"], "up to what is no word");
    }

    #[test]
    fn what_is_too_long_is_not_waited_for() {
        let mut long = signal(true);
        long[4..8].copy_from_slice(&(2u32 << 20).to_le_bytes());
        assert_eq!(read(&long[..FIXED]), Err(Garbled));
        assert_eq!(read(b"HTTP/1.1 400 Bad Request"), Err(Garbled));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_message_with_a_byte_changed_is_read_or_refused(at in 0usize..400, byte: u8, little: bool, asks: bool) {
            let mut bytes = if asks { question() } else { signal(little) };
            let size = bytes.len();
            bytes[at % size] = byte;
            if let Ok(Some((_, read))) = read(&bytes) {
                prop_assert!(read <= size);
            }
        }
    }
}
