"""The data plane: `/v1` in OpenAI's shape, and the pipeline that every model call in the house takes.

Nouns: call, principal, step, loop, snapshot, relay. Interfaces for other rooms: `gateway.pipeline`,
`gateway.loop`.
"""
