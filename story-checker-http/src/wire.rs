//! JSON values as the platform sends them: ids now as text, now as number, flags as 0 and 1.
//! Lenient in types; what a value means is decided elsewhere.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text, or a whole number taken as text. Borrowed unless it has escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(super) Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;

        impl<'de> Visitor<'de> for AsText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a whole number")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }
        }

        deserializer.deserialize_any(AsText)
    }
}

/// A text if it is one, nothing for any other value: for messages, which must never spoil a parse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loose<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;

        impl<'de> Visitor<'de> for Anything {
            type Value = Loose<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Loose<'de>, E> {
                Ok(Loose(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Loose<'de>, E> {
                Ok(Loose(Cow::Owned(text.to_owned())))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Loose<'de>, E> {
                Ok(Loose::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<Loose<'de>, E> {
                Ok(Loose::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<Loose<'de>, E> {
                Ok(Loose::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Loose<'de>, E> {
                Ok(Loose::default())
            }

            fn visit_unit<E>(self) -> Result<Loose<'de>, E> {
                Ok(Loose::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Loose<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Loose::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Loose::default())
            }
        }

        deserializer.deserialize_any(Anything)
    }
}

/// A number that is not negative, or a text of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number(pub(super) f64);

impl Number {
    /// The whole part; saturates.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    pub(crate) fn whole(self) -> u64 {
        self.0 as u64
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsNumber;

        impl Visitor<'_> for AsNumber {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number that is not negative")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                #[expect(clippy::cast_precision_loss, reason = "seconds and pixels are small")]
                let number = number as f64;
                Ok(Number(number))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
                let fits = number.is_finite() && number >= 0.0;
                fits.then_some(Number(number)).ok_or_else(|| E::custom("a negative number"))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                self.visit_f64(text.parse().map_err(|_| E::custom("a text that is no number"))?)
            }
        }

        deserializer.deserialize_any(AsNumber)
    }
}

/// Yes or no, also as 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsFlag;

        impl Visitor<'_> for AsFlag {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
                Ok(Flag(flag))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Flag, E> {
                match number {
                    0 | 1 => Ok(Flag(number == 1)),
                    _ => Err(E::custom("a number that is neither 0 nor 1")),
                }
            }
        }

        deserializer.deserialize_any(AsFlag)
    }
}

/// An object. Derived code takes a list for one, too, and reads its fields by their place.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsObject<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for AsObject<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(AsObject(PhantomData))
    }
}

/// For a field that is an object.
pub(crate) fn object<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// For a field that is an object, or null.
pub(crate) fn maybe_object<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let object = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(object.map(|Object(value)| value))
}

/// For a field that is a list of objects.
pub(crate) fn objects<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let list = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(list.into_iter().map(|Object(value)| value).collect())
}

/// For a field that is a list of objects, or null.
pub(crate) fn maybe_objects<'de, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let list = Option::<Vec<Object<T>>>::deserialize(deserializer)?;
    Ok(list.map(|list| list.into_iter().map(|Object(value)| value).collect()))
}

/// For an object where null and absence mean different things: it was there.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    maybe_object(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_several_types() {
        let text = |json| serde_json::from_str::<Text<'_>>(json).map(|text| text.0.into_owned());
        assert_eq!(text("\"4200\"").unwrap(), "4200");
        assert_eq!(text("4200").unwrap(), "4200");
        assert_eq!(text("\"a\\u0026b\"").unwrap(), "a&b");
        assert!(text("null").is_err() && text("-1").is_err() && text("1.5").is_err());

        let number = |json| serde_json::from_str::<Number>(json).map(Number::whole);
        assert_eq!(number("17").unwrap(), 17);
        assert_eq!(number("17.9").unwrap(), 17);
        assert_eq!(number("\"17\"").unwrap(), 17);
        assert!(number("-1").is_err() && number("\"x\"").is_err() && number("\"NaN\"").is_err());

        let flag = |json| serde_json::from_str::<Flag>(json).map(|flag| flag.0);
        assert!(flag("true").unwrap() && flag("1").unwrap() && !flag("0").unwrap());
        assert!(flag("2").is_err() && flag("\"yes\"").is_err());

        for json in ["1", "-1", "1.5", "true", "null", "[1,[2]]", "{\"a\":{}}"] {
            assert_eq!(serde_json::from_str::<Loose<'_>>(json).unwrap(), Loose::default());
        }
        assert_eq!(serde_json::from_str::<Loose<'_>>("\"x\"").unwrap().0, "x");
    }
    #[test]
    fn an_object_is_no_list() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct One {
            #[serde(default)]
            a: u8,
        }
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Outer {
            #[serde(default, deserialize_with = "maybe_object")]
            one: Option<One>,
            #[serde(default, deserialize_with = "maybe_objects")]
            all: Option<Vec<One>>,
        }
        fn read(json: &str) -> serde_json::Result<Outer> {
            Ok(serde_json::from_str::<Object<Outer>>(json)?.0)
        }
        let none = Outer { one: None, all: None };
        assert_eq!(read("{}").unwrap(), none);
        assert_eq!(read(r#"{"one":null,"all":null}"#).unwrap(), none);
        assert_eq!(read(r#"{"one":{"a":1}}"#).unwrap().one, Some(One { a: 1 }));
        assert_eq!(read(r#"{"all":[{"a":1},{}]}"#).unwrap().all.unwrap().len(), 2);
        assert!(read("[]").is_err() && read("[{}]").is_err());
        for odd in ["[]", "[1]", "false", "1", "\"x\"", r#"{"a":"x"}"#] {
            assert!(read(&format!(r#"{{"one":{odd}}}"#)).is_err(), "{odd}");
            assert!(read(&format!(r#"{{"all":[{odd}]}}"#)).is_err(), "{odd}");
        }
    }
}
