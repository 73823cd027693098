// Package pipeline is the core of gapless: the contracts between the parts
// (Source, Transform, Route, Buffer, Sink), the classes of errors that they
// speak in, the retry rules, and the two loops that move events.
//
//	Source ──Page──► Transform ─► Route ─► Buffer.Append      Ingest: one per source
//	   ▲                                        │
//	   └──────── emit returned nil: on disk ────┘
//
//	Buffer.Next ──Batch──► Sink.Deliver ──Receipt──► Buffer.Settle    Deliver: one per tenant
//
// Two rules hold throughout. A source does not move past a page before emit has
// returned nil, which means that the page and the cursor behind it are flushed
// to disk. Nothing leaves the buffer before the sink has said what became of it.
//
// The package imports event alone; adapters import it and never each other.
package pipeline
