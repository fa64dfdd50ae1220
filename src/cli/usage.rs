//! `torouter usage`: what was used and what it cost, from the store.

use clap::ValueEnum;

use super::keys::print_json;
use super::store::{USAGE_WAIT, block_on, open};
use super::table::{Look, Table};
use super::{ConfigOption, Failed, out, tell};
use crate::admin::usage::{
    MAX_ROWS, UsageAnswer, dimension_name, dimension_of, dimensions, numbers, to_csv,
};
use crate::admin::value::Time;
use crate::store::{Dimension, Filters, ReportQuery, ReportRow};

#[derive(clap::Args)]
pub struct Options {
    /// From when: a time, a date, or how long ago like 24h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until before when
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only these keys, by name or id; may be repeated
    #[arg(long)]
    key: Vec<String>,
    /// Only these groups
    #[arg(long)]
    group: Vec<String>,
    /// Only these channels
    #[arg(long)]
    channel: Vec<String>,
    /// Only these models, as they were asked for
    #[arg(long)]
    model: Vec<String>,
    /// A row for each combination of day, key, group, channel, model
    #[arg(long, value_name = "day,key,…")]
    by: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    config: ConfigOption,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

fn read<T>(
    flag: &str,
    text: Option<&String>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Failed> {
    text.map(|text| parse(text).map_err(|what| Failed::Input(format!("--{flag} {text:?}: {what}"))))
        .transpose()
}

pub fn run(options: Options) -> Result<(), Failed> {
    let by = read("by", options.by.as_ref(), dimensions)?.unwrap_or_default();
    let since = read("since", options.since.as_ref(), Time::past)?.map(|time| time.0);
    let until = read("until", options.until.as_ref(), Time::past)?.map(|time| time.0);
    // A person has mistyped; over HTTP it is a span with nothing in it.
    if since.zip(until).is_some_and(|(since, until)| since > until) {
        let what = "--since: since must not be after until";
        return Err(Failed::Input(what.to_owned()));
    }
    let filters = Filters {
        since,
        until,
        keys: options.key,
        groups: options.group,
        channels: options.channel,
        models: options.model,
    };
    let opened = open(&options.config)?;
    let limit = MAX_ROWS * 10;
    let ask = |by: Vec<Dimension>, limit| ReportQuery {
        filters: filters.clone(),
        by,
        limit,
    };
    let (mut rows, total) = block_on(async {
        opened.sync(USAGE_WAIT).await;
        let rows = opened
            .store
            .usage_report(ask(by.clone(), limit + 1))
            .await?;
        let total = opened.store.usage_report(ask(Vec::new(), 1)).await?;
        Ok::<_, Failed>((rows, total))
    })??;
    let answer = UsageAnswer::new(&rows, limit);
    let truncated = answer.truncated;
    rows.truncate(limit as usize);
    match options.format {
        Format::Json => print_json(&answer)?,
        Format::Csv => out(&to_csv(&by, &rows))?,
        Format::Table => out(&table(&by, &rows, total.first()).write(Look::of_stdout()))?,
    }
    if truncated {
        tell(&format!(
            "note: only the first {limit} rows are told; ask for less with --since, --key or --by"
        ));
    }
    let unpriced = total.first().map_or(0, |total| total.unpriced);
    if unpriced > 0 {
        tell(&format!(
            "note: {unpriced} requests used tokens whose price is not known; cost_usd leaves them out"
        ));
    }
    Ok(())
}

fn cells(by: &[Dimension], row: &ReportRow, first: Option<&str>) -> Vec<String> {
    let values = by.iter().enumerate().map(|(n, dimension)| match first {
        None => dimension_of(row, *dimension).to_owned(),
        Some(first) if n == 0 => first.to_owned(),
        Some(_) => String::new(),
    });
    let numbers = numbers(row).map(|(_, number)| number.to_string());
    let cost = row
        .cost
        .map_or_else(|| "-".to_owned(), |cost| cost.to_string());
    values.chain(numbers).chain([cost]).collect()
}

fn table(by: &[Dimension], rows: &[ReportRow], total: Option<&ReportRow>) -> Table {
    let names = numbers(&ReportRow::default()).map(|(name, _)| name);
    let head = by.iter().map(|dimension| dimension_name(*dimension));
    let head = head.chain(names).chain(["cost_usd"]).map(str::to_owned);
    let head: Vec<String> = head.collect();
    let total = total.filter(|_| !by.is_empty());
    Table {
        numbers: (0..head.len()).map(|column| column >= by.len()).collect(),
        rows: rows.iter().map(|row| cells(by, row, None)).collect(),
        total: total.map(|total| cells(by, total, Some("total"))),
        head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Usd;

    #[test]
    fn a_row_without_a_price_has_a_dash_and_the_total_stands_last() {
        let row = |key: &str, requests, cost: Option<&str>| ReportRow {
            key: Some(key.to_owned()),
            requests,
            cost: cost.and_then(Usd::parse),
            ..ReportRow::default()
        };
        let rows = [row("a", 1000, Some("0.000000000001")), row("b", 1, None)];
        let total = row("", 1001, Some("0.000000000001"));
        let text = table(&[Dimension::Key], &rows, Some(&total)).write(Look::Pretty);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("key"), "{text}");
        assert!(
            lines[2].starts_with("a ") && lines[2].contains("1,000"),
            "{text}"
        );
        assert!(lines[2].ends_with("0.000000000001"), "{text}");
        assert!(
            lines[3].starts_with("b ") && lines[3].ends_with(" -"),
            "{text}"
        );
        assert!(
            lines[5].starts_with("total") && lines[5].contains("1,001"),
            "{text}"
        );
        assert_eq!(lines.len(), 6, "{text}");
    }
}
