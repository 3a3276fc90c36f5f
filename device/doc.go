// Package device knows what names one device: the families of device ids, the
// key by which a device is known whether its id was given raw or as an MD5,
// how a file of ids is judged line by line, what is odd about one that is not
// what it was declared to be, and sets of devices as files that are asked
// without being read.
//
// It knows no vendor and no audience.
package device
