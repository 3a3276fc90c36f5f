package cache

import "testing"

func TestSized(t *testing.T) {
	c := NewSized[string, int](100)
	want := func(key string, value int, ok bool) {
		t.Helper()
		if got, has := c.Get(key); got != value || has != ok {
			t.Errorf("Get(%s) = %d, %t, want %d, %t", key, got, has, value, ok)
		}
	}
	c.Put("a", 1, 40)
	c.Put("b", 2, 40)
	c.Put("a", 3, 40) // one that is kept stays as it is
	c.Put("half", 4, 51)
	want("half", 0, false)
	want("a", 1, true)
	c.Put("c", 5, 30) // b was used least recently
	want("b", 0, false)
	want("a", 1, true)
	want("c", 5, true)
	if c.Len() != 2 || c.Bytes() != 70 {
		t.Errorf("%d values of %d bytes, want 2 of 70", c.Len(), c.Bytes())
	}
	c.Drop(func(key string) bool { return key == "a" })
	want("a", 0, false)
	want("c", 5, true)
	c.Drop(func(string) bool { return true })
	if c.Len() != 0 || c.Bytes() != 0 || len(c.kept) != 0 {
		t.Errorf("%d values of %d bytes, %d by key, are left, want none", c.Len(), c.Bytes(), len(c.kept))
	}
}
