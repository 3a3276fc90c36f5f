// Package silhouette speaks version 0 of StatSocial's Silhouette API, so that
// clients written for it work unchanged.
//
// What the vendor documents is answered in its shapes, key by key in its
// order: creating audiences of every kind, searching affinities, job titles,
// employers and places, the personality terms, credits, regeneration, insights,
// audiences of clusters, expansion. What
// the vendor names without showing (reading and listing audiences, files,
// uploads, callbacks) has shapes of our own, which a client of the documented
// part cannot trip over.
//
// Known differences:
//
//   - Permissions are the operator's to give (`throng caller`).
//   - Keys that are not known are ignored, as the vendor's own examples need,
//     and named in the audience's warnings.
//   - All problems of a request come in one answer, each with its path.
//   - Cities carry the names of their region and country beside the vendor's
//     keys, so that two of one name can be told apart.
package silhouette
