package dataset

// memo remembers what cells mean, by their tokens: of each slot the last one.
// The zero value is empty.
type memo[T any] struct{ slots []memoSlot[T] }

type memoSlot[T any] struct {
	token uint64 // 0: free
	value T
}

const memoBits = 12

func (m *memo[T]) slot(token uint64) *memoSlot[T] {
	if m.slots == nil {
		m.slots = make([]memoSlot[T], 1<<memoBits)
	}
	return &m.slots[token*0x9e3779b97f4a7c15>>(64-memoBits)]
}

// get returns what a cell with this token meant.
func (m *memo[T]) get(token uint64) (value T, ok bool) {
	if token == 0 {
		return value, false
	}
	s := m.slot(token)
	return s.value, s.token == token
}

func (m *memo[T]) put(token uint64, value T) {
	if token != 0 {
		*m.slot(token) = memoSlot[T]{token, value}
	}
}
