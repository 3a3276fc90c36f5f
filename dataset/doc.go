// Package dataset reads an operator's folder of tables: Parquet, CSV and
// NDJSON in, typed rows out. It knows the formats and what a single row means;
// it does not know which people, accounts or affinities exist, which is for
// whoever puts the rows together.
//
// [Open] lists the files. [Table.Read] hands over the cells of a table in
// batches. The types [Person], [Follow], [Interest] and so on each decode one
// row of a batch and say whether it can be used. [Rejects] keeps the account.
//
// # CSV
//
// RFC 4180: fields are separated by commas, records by LF or CRLF, and a field
// in double quotes may hold commas, line ends and doubled quotes. A byte order
// mark is skipped, and so are empty lines. A quote inside a field that does not
// begin with one is an ordinary character. Text behind a closing quote makes
// the row a bad one, and so does a quote that is not closed within 4 MiB; in
// that case reading resumes on the line after the one of the quote. Columns are
// found by name, whatever the case.
//
// # NDJSON
//
// One object a line. Strings are taken as they are, numbers as written; null is
// absent. Everything else, true and false as well, is a malformed cell. Of two values for one key the last counts. Keys that are no
// columns are ignored, and named.
//
// # Parquet
//
// Flat columns of every physical type: numbers in decimal, dates as
// 2006-01-02, timestamps in RFC 3339 (UTC, at most microseconds), decimals with
// their scale, UUIDs with hyphens. NaN is absent, since that is how data frames
// write a missing number. Columns compressed with LZ4 are refused.
package dataset
