// Package model is the naive twin of the whole product: [Load] reads the files
// of a dataset into maps, and a [Model] answers by loops what the product
// answers of the same files: what was loaded and rejected, who the members of
// a definition are, what their files hold, and what becomes of an upload.
//
// It is worth something only as long as it is independent: it reads files,
// dates, identifiers and words with code of its own, written from the
// specification, and shares none with the packages that it is a test of; of
// package reference it takes the built-in places, which are data. It is slow,
// holds everything several times, and does not say what is wrong with a
// definition.
package model
