// Package e2e holds the tests of the whole product: they build the binary,
// run it, speak to it over HTTP, kill it and start it again. The scripts under
// testdata are the contract of the API in readable form; package e2e itself
// has no code.
package e2e
