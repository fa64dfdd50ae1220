//! Many rows at once.

use super::super::error::StoreError;
use super::{Arg, Work, placeholders};

/// The statements that insert 1, 2, 4, … 128 rows: few are kept prepared, and none has more arguments than SQLite takes
/// (32 766) in tables of up to 255 columns.
pub struct Inserts {
    sqlite: [String; 8],
    postgres: [String; 8],
}

impl Inserts {
    /// Into these columns of a table; `then` is what follows the values.
    pub fn new(table: &str, columns: &str, then: &str) -> Self {
        let count = columns.split(", ").count();
        let insert = |marks: &str| format!("INSERT INTO {table} ({columns}) VALUES {marks} {then}");
        Self {
            // Without numbers: SQLite looks the name of each up among those of all before it.
            sqlite: std::array::from_fn(|power| {
                let row = format!("({})", vec!["?"; count].join(", "));
                insert(&vec![row; 1 << power].join(", "))
            }),
            postgres: std::array::from_fn(|power| insert(&placeholders(1 << power, count))),
        }
    }
}

impl Work {
    /// Inserts rows in their order.
    pub async fn insert(
        &mut self,
        inserts: &'static Inserts,
        mut rows: impl ExactSizeIterator<Item = Vec<Arg>> + Send,
    ) -> Result<(), StoreError> {
        let statements = match self {
            Self::Sqlite(_) => &inserts.sqlite,
            Self::Postgres(_) => &inserts.postgres,
        };
        let mut left = rows.len();
        while left > 0 {
            let power = (left.ilog2() as usize).min(statements.len() - 1);
            let args: Vec<Arg> = rows.by_ref().take(1 << power).flatten().collect();
            let sql: &'static str = &statements[power];
            self.run(sql, args).await?;
            left -= 1 << power;
        }
        Ok(())
    }
}
