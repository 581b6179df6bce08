// Package wire speaks AWS's protocols for the simulator: it takes an HTTP request, proves who signed it, finds the
// operation it means, decodes it into a plain Go struct, lets a typed handler answer and encodes the answer (or the
// error) as the real service would.
//
// Inputs are HTTP requests of the four protocols in use: query and ec2 (forms in, XML out), rest-json and json-1.1. Outputs
// are HTTP responses. A service declares its operations with Handle and knows nothing of the protocol.
//
// How struct fields meet the wire:
//
//	requests   query, ec2  form:"Name"       Name=v, Name.member.1=v (query), Name.1=v (ec2), Name.1.Sub=v
//	           json-1.1    json:"Name"       member of the body
//	           rest-json   json:"name"       member of the body; path:"name" and query:"name" come from the URL (json:"-")
//	responses  query, ec2  xml:"Stacks>member", xml:"tagSet>item", xml:"name,omitempty"
//	           json        encoding/json's rules
//
// Without a tag the field's own name is used. Time is the type of all timestamps. Page cuts the lists that a service gives in
// pages.
//
// Invariants: a parameter or member that the request struct does not have is an error, never silently dropped, since a
// simulator that ignores what it does not know would lie; a handler never runs for a request whose signature is wrong.
package wire
