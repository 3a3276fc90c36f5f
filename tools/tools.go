//go:build tools

// Package tools pins the tools of this project apart from its own modules.
package tools

import _ "github.com/golangci/golangci-lint/v2/cmd/golangci-lint"
