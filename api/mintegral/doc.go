// Package mintegral speaks version 1 of Mintegral's open API for audiences, so
// that clients written for it work unchanged.
//
// What the vendor documents is answered in its shapes and with its names:
// signed requests, pre-signed uploads, audiences made of files of device ids,
// their update, deletion and list, and the audiences that an offer targets.
//
// Known differences:
//
//   - A timestamp may be off by 300 seconds either way; the vendor does not say
//     how far. A token can be used again within that time, as the vendor's can.
//   - The HTTP status is 200 wherever a request reached an endpoint; what went
//     wrong is in code. Paths and methods that are not there are 404 and 405 of
//     HTTP, too.
//   - The text of an answer is both message, as in the vendor's examples, and
//     msg, as in its tables. data of a failure lists all problems of the request,
//     each with the path of its field.
//   - Numbers may come as strings of digits. Keys that are not known are ignored,
//     and named in a new audience's warnings; but an offer's lists under the
//     names of the other form are refused, since without them it is for everyone.
//   - area_type is 1. The vendor's data cluster 2 is refused.
//   - Device types 12 and 13, the vendor's later numbers, are read as 10 and 11
//     and answered so.
//   - The list shows more than the vendor's: how far an audience is, what became
//     of its files' lines, what the files look like, and when it may be given
//     other files.
//   - An offer's audiences can be read back, and devices can be matched with it:
//     the vendor has no such endpoints.
package mintegral
