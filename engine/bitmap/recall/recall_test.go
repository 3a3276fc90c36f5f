package recall

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"throng/engine/bitmap/rowset"
)

// TestSizes puts more sizes than there is room for: what is found is what
// was put, most of the newest are found, and no more memory is taken.
func TestSizes(t *testing.T) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 2))
	c := NewSizes(false)
	sizes := map[[32]byte]uint64{}
	var keys [][32]byte
	for i := range 3 * 4 * sizeLines {
		key := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
		if i%5 == 4 { // again, with another size
			key = keys[rng.IntN(len(keys))]
		} else {
			keys = append(keys, key)
		}
		if n, known := c.Get(key); known && n != sizes[key] {
			t.Fatalf("size of key %d is %d, want %d", i, n, sizes[key])
		}
		n := rng.Uint64()
		c.Put(key, n)
		sizes[key] = n
		if got, known := c.Get(key); !known || got != n {
			t.Fatalf("size of key %d is %d, %t at once, want %d", i, got, known, n)
		}
	}
	found := 0
	for _, key := range keys[len(keys)-sizeLines:] {
		if n, known := c.Get(key); known {
			found++
			if n != sizes[key] {
				t.Fatalf("size is %d, want %d", n, sizes[key])
			}
		}
	}
	if found < sizeLines*8/10 {
		t.Errorf("%d of the newest %d sizes are known", found, sizeLines)
	}
	if len(c.lines) != sizeLines {
		t.Errorf("%d lines, want %d", len(c.lines), sizeLines)
	}
	if n, known := c.Get([32]byte{1}); known {
		t.Errorf("a key that was never put has size %d", n)
	}
}

// TestSets forgets what was not used for longest, and only for what was
// asked for later.
func TestSets(t *testing.T) {
	key := func(i int) [32]byte { return [32]byte{byte(i)} }
	c := NewSets(100)
	for i := range 3 {
		if before := c.Ask(key(i)); before != 0 {
			t.Errorf("ask(%d) = %d the first time, want 0", i, before)
		}
		if !c.Reserve(30, 0) {
			t.Fatalf("reserve %d: no room", i)
		}
		c.Put(key(i), rowset.New([32]byte{}, 0, []rowset.Block{{N: i}}), 30)
	}
	if c.Get(key(0)) == nil {
		t.Error("the first set is not kept")
	}
	if before := c.Ask(key(3)); c.Room(40, before) || c.Reserve(40, before) {
		t.Error("what was never asked for pushes out what was")
	}
	c.Get(key(2))
	before := c.Ask(key(3))
	if before == 0 {
		t.Error("ask does not remember")
	}
	if !c.Room(40, before) || c.Room(71, before) || !c.Reserve(40, before) { // forgets 1
		t.Error("what was asked for last finds no room, or too much")
	}
	if c.Get(key(0)) == nil || c.Get(key(1)) != nil || c.Get(key(2)) == nil || c.used != 100 {
		t.Errorf("kept are %d sets, %d bytes", c.order.Len(), c.used)
	}
	if again := c.Ask(key(1)); again == 0 || c.Room(1, again) {
		t.Errorf("what was forgotten, last asked for at %d, pushes out what was used since", again)
	}
	const last = math.MaxUint64
	if c.Reserve(101, last) || c.order.Len() != 0 {
		t.Error("reserve has room for more than all")
	}
	c.Release(40)
	if c.used != 0 {
		t.Errorf("%d bytes are left of nothing", c.used)
	}
	if !c.Reserve(60, 0) || !c.Reserve(40, 0) {
		t.Error("no room for two")
	}
	c.Put(key(4), rowset.New([32]byte{}, 0, []rowset.Block{{N: 1}}), 60)
	c.Put(key(4), rowset.New([32]byte{}, 0, []rowset.Block{{N: 2}}), 40) // the first stays
	if c.Get(key(4)).Len() != 1 || c.used != 60 {
		t.Errorf("kept is %d, %d bytes", c.Get(key(4)).Len(), c.used)
	}
}
