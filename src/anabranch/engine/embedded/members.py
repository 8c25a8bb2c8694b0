"""Consumer groups of the embedded runtime: who is in them and how partitions are shared out."""

from __future__ import annotations

from anabranch.engine.host import StageHost


class Memberships:
    """Every group's members; each change shares the partitions out anew, round robin."""

    def __init__(self) -> None:
        self._members: dict[str, list[StageHost]] = {}
        self._partitions: dict[str, int] = {}

    async def join(self, group: str, host: StageHost, partitions: int) -> None:
        """Add a member of a group that reads so many partitions."""
        self._partitions[group] = partitions
        self._members.setdefault(group, []).append(host)
        await self._share_out(group)

    async def leave(self, group: str, host: StageHost) -> None:
        """Remove a member; leaving twice does nothing."""
        members = self._members.get(group, [])
        if host in members:
            members.remove(host)
            await self._share_out(group)

    async def _share_out(self, group: str) -> None:
        members = list(self._members[group])
        for index, host in enumerate(members):
            await host.assign(range(index, self._partitions[group], len(members)))
