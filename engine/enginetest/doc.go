// Package enginetest holds what every engine is held to: [Run], the suite
// that each implementation of engine.Engine passes, and [Model], a naive twin
// of the whole product that answers the same questions from the same files by
// maps and loops.
//
// The twin is worth something only as long as it is independent: it reads
// files, dates, identifiers and words with code of its own, written from the
// specification, and shares none with the packages that it is a test of. Where
// twin and engine disagree, the specification decides.
//
// [RandomDataset], [RandomDefinition] and [RandomUpload] make the questions,
// [Reduce] makes a failing one small, and [HandWorked] holds those whose
// answers were worked out by hand.
package enginetest
