// Package kernel holds the inner loops of the evaluation: operations on one
// block of 65,536 rows, kept as a bitmap of 8 KiB that stays in the first
// cache.
//
// Nothing here allocates once it is warm, and nothing checks its input:
// containers must be what package storage promises, arrays strictly ascending,
// runs disjoint. Arguments must not alias unless a function says that they
// may. Functions are safe for concurrent use on different blocks.
//
// The loops over whole blocks come in several implementations: in Go for
// every machine, and in assembly for the vector instructions of amd64. The
// best that the processor has is chosen when the program starts; GODEBUG
// takes sets of instructions away (cpu.avx2=off, cpu.avx512bw=off,
// cpu.avx512vpopcntdq=off). All give the same results, to the bit.
package kernel

//go:generate go run -C gen . -out ../vector_amd64.s -stubs ../vector_amd64.go -pkg kernel

const (
	// Rows is the number of rows of a block.
	Rows = 1 << 16
	// Words is the number of 64-bit words of a block.
	Words = Rows / 64
)

// Block is a bitmap with a bit for each row of a block: row r is bit r%64 of
// word r/64.
type Block = [Words]uint64

// AsBlock views a bitmap container as a block, without copying.
func AsBlock(words []uint64) *Block { return (*Block)(words) }

// Or adds the rows of src to dst. They may be the same block.
func Or(dst, src *Block) { use.or(dst, src) }

// And keeps the rows of dst that src has, too. They may be the same block.
func And(dst, src *Block) { use.and(dst, src) }

// AndNot removes the rows of src from dst. They may be the same block.
func AndNot(dst, src *Block) { use.andNot(dst, src) }

// Count returns the number of rows in b.
func Count(b *Block) int { return use.count(b) }

// OrCount is Or that returns the number of rows in dst afterwards.
func OrCount(dst, src *Block) int { return use.orCount(dst, src) }

// AndCount is And that returns the number of rows in dst afterwards.
func AndCount(dst, src *Block) int { return use.andCount(dst, src) }

// AndNotCount is AndNot that returns the number of rows in dst afterwards.
func AndNotCount(dst, src *Block) int { return use.andNotCount(dst, src) }

// Fill makes b the first n rows and no other. n is from 0 to Rows.
func Fill(b *Block, n int) {
	full := n / 64
	for i := range full {
		b[i] = ^uint64(0)
	}
	clear(b[full:])
	if n%64 != 0 {
		b[full] = 1<<(n%64) - 1
	}
}

// Complement makes b the rows among the first n that it did not have. Rows
// from n on are not in it afterwards.
func Complement(b *Block, n int) {
	for i := range b {
		b[i] = ^b[i]
	}
	if n == Rows {
		return
	}
	clear(b[(n+63)/64:])
	if n%64 != 0 {
		b[n/64] &= 1<<(n%64) - 1
	}
}

// HasFrom reports whether b has any row from n on.
func HasFrom(b *Block, n int) bool {
	if n < Rows && b[n/64]>>(n%64) != 0 {
		return true
	}
	for _, w := range b[min((n+64)/64, Words):] {
		if w != 0 {
			return true
		}
	}
	return false
}

// IsEmpty reports whether b has no row.
func IsEmpty(b *Block) bool {
	for i := 0; i < Words; i += 8 {
		w := (*[8]uint64)(b[i:])
		if w[0]|w[1]|w[2]|w[3]|w[4]|w[5]|w[6]|w[7] != 0 {
			return false
		}
	}
	return true
}
