//! The answers that the real platforms are known to give, by the ids of the error catalogue.

mod graph;
mod row;
mod web;
mod x;

pub use row::Row;

/// All tables.
const TABLES: [&[Row]; 3] = [web::WEB, graph::GRAPH, x::X];

/// The answer with this id.
pub fn row(id: &str) -> Option<&'static Row> {
    rows().find(|row| row.id == id)
}

/// All answers, in the order of the catalogue.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    TABLES.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_answers_can_be_written() {
        let mut ids: Vec<_> = rows().map(|row| row.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        for row in rows() {
            assert!(http::StatusCode::from_u16(row.status).is_ok(), "{}", row.id);
            for (name, value) in row.headers.iter().chain([&("content-type", row.content_type)]) {
                let name = http::HeaderName::from_static(name);
                assert!(http::HeaderValue::try_from(*value).is_ok(), "{} {name}", row.id);
            }
            if row.content_type.starts_with("application/json") && !row.body.is_empty() {
                let whole = serde_json::from_str::<serde_json::Value>(row.body).is_ok();
                assert_eq!(whole, row.id != "W21", "{}", row.id);
            }
        }
    }

    #[test]
    fn every_row_of_the_web_catalogue_is_there() {
        for number in 1..=22 {
            let id = format!("W{number}");
            assert!(row(&id).is_some(), "{id}");
        }
        assert!(row("W23").is_none());
    }
}
