// Package intern gives terms numbers. A term is a value of a field, which is told
// by its position among all fields.
//
// While tables are read, by any number of goroutines, a [Dictionary] gives every
// distinct term a temporary number; each goroutine asks through a [Cache] of its
// own. At the end terms are sorted, field by field and by value, and get the
// numbers that they have in an index. These depend on which terms there are,
// and not on the order in which they were met.
//
// The dictionary is bounded. Terms that it has no room for go, with their rows,
// to its [Overflow], which lies in files, and are numbered among the others as if
// it had held them. Only terms that are met before [Dictionary.Declare], which
// may turn out to be of nobody, are held in any case.
package intern
