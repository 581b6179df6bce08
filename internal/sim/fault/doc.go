// Package fault stands between a client and a Kubernetes API server and lets requests go wrong: refused, unanswered, broken off, or done
// without the caller ever hearing of it.
//
// Inputs: a rest.Config of the real server, and a Fate that says what becomes of each request. Outputs: an https URL of loopback, its
// certificate, and how often each effect really took effect. It asks for no credentials and uses those of the rest.Config.
//
// Invariants: a request is done at the server once or not at all; Settle returns when nothing that was sent before is under way any more, so
// that nothing of it can be done later. A seed draws the same effects for the same requests in the same order, but for the bursts of
// a busy server, which last as long as they last.
package fault
