// Package aws is a simulator of the AWS APIs that eksctl and the reconciler use, at the level of the wire: any AWS client that
// is pointed at it by AWS_ENDPOINT_URL works unchanged.
//
// Input is HTTP requests signed with version 4, told apart by the scope of their signatures; outputs are the services'
// own answers and errors, and through hooks real control planes and nodes.
//
// One request passes
//
//	wire (signature, decoding) -> fault script -> throttle -> replica lag -> the world's lock:
//	    advance every part to now -> the service's operation -> encode -> save -> trail -> request log
//
// Invariants: AWS's documentation and models decide what an operation does, never the convenience of a caller; what the
// simulator does not know it refuses loudly (501 NotImplemented); state changes only under the one lock and survives a restart
// at any moment.
package aws
