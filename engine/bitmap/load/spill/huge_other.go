//go:build !linux

package spill

func adviseHuge([]byte) {}
