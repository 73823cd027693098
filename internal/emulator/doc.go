// Package emulator holds what the two emulators share: scripted faults, an
// in-memory transport and a request log.
//
//	request ─► Log ─► Faults.Wrap ─► the emulator's own handler
//	             │         │
//	             │         └─ answer, delay, hang, cut, garbage, truncate, lost
//	             └─ one line: operation, main parameters, status, duration
//
// An emulator is an http.Handler and nothing more, so it runs the same behind a
// listener and, through Transport, inside a testing/synctest bubble, where there
// are no sockets and time is fake.
package emulator
