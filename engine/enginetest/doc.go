// Package enginetest holds what every engine is held to: [Run], the suite
// that each implementation of engine.Engine passes. It compares what engines
// answer with the naive twin of package model; where the two disagree, the
// specification decides.
//
// [RandomDataset], [RandomDefinition] and [RandomUpload] make the questions,
// [Reduce] makes a failing one small, and [HandWorked] holds those whose
// answers were worked out by hand.
package enginetest
