// Package storage is the files of a generation: how each kind of them is
// written, mapped, verified and read, and what holds them together. It knows
// bytes, rows and terms; what to ask of them, and how to make them of tables, is
// for its two users, the engine and load. What all files have in common is in
// package format, and the forward index in package forward. docs/format.md draws
// every byte.
//
// Writers make nothing visible: a generation exists when its manifest, which
// sums all files, is durable, and is used when CURRENT names it. Whoever reads
// gets views of mapped memory, which end with Files.Close, and ErrCorrupt, with
// the name of the file, where bytes are not those that were written.
package storage

import (
	"hash/crc32"

	"throng/engine"
	"throng/engine/bitmap/format"
)

// ErrCorrupt is what every finding of a damaged file wraps. The error names
// the file.
var ErrCorrupt = engine.ErrCorrupt

// How rows are cut, for those who read and write generations.
const (
	BlockRows  = format.BlockRows
	BlockWords = format.BlockWords
	PartBlocks = format.PartBlocks
	PartRows   = format.PartRows
	ArrayMax   = format.ArrayMax
)

// FileSum is what the manifest says of a file.
type FileSum = format.FileSum

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
