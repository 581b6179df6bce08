// Package modelcheck holds the simulator to AWS's own data: the service models and CloudFormation resource schemas in
// ../shared/aws-models beside the checkout. It is for tests only.
//
// Inputs are a handler (Wrap), declared operations (Services) or declared resource types (ResourceTypes); outputs are test
// failures: a request that the model forbids and the simulator accepted, an answer that has a wrong name, value, or status or
// lacks a required member, an error code that the operation does not have, a property that a resource type does not have.
//
// Invariant: where the data is not beside the checkout nothing is checked, and the test's log says so.
package modelcheck
