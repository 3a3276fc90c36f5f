package format

import "throng/engine/bitmap/kernel"

// BlockRows is the number of rows of a block, the unit of evaluation: its
// bitmap is 8 KiB and stays in the first cache.
const BlockRows = kernel.Rows

// BlockWords is the number of 64-bit words of a block's bitmap.
const BlockWords = kernel.Words

// PartBlocks is the number of blocks of a part.
const PartBlocks = 16

// PartRows is the number of rows of a part.
const PartRows = PartBlocks * BlockRows

// ArrayMax is the largest cardinality of a term in a block that is stored as an
// array. Up to twice as many rows an array would be smaller than a bitmap, but
// each of its rows costs a count about as much as four words of the bitmap do:
// half as many take a fifth of the time. What this adds to all postings is 3 to
// 7 per cent.
const ArrayMax = 2048
