// Package world is what all services of the simulator share: one account in one region, one lock, one clock, one source
// of ids, and one place where state is kept.
//
// Inputs are Options and the parts that services register; outputs are the moments at which those parts may read and
// change their state (Do, Advance) and files from which a later process goes on.
//
// Invariants: everything that touches state runs under the world's one lock, so an effect across services is seen whole or
// not at all; nothing happens in the background: a state that changes by itself is derived from stored timestamps by
// Advance, which runs before every request and on every tick; what a mutating request did is on disk before it is answered
// (if there is a Dir), all services at one instant.
package world
