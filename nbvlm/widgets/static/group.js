// Parts of one group on a page light, select and hide the same detections, without a way through the kernel.

const GROUPS = Symbol.for("nbvlm.groups"); // each widget has modules of its own, the page is shared

export function joinGroup(name, take) {
  globalThis[GROUPS] ??= new Map();
  const groups = globalThis[GROUPS];
  if (!groups.has(name)) groups.set(name, new Set());
  const members = groups.get(name);
  const count = () => {
    for (const member of members) member("members", members.size);
  };
  members.add(take);
  count();
  return {
    members: () => members.size,
    say: (kind, value) => {
      for (const member of members) if (member !== take) member(kind, value);
    },
    leave: () => {
      members.delete(take);
      count();
      if (!members.size && groups.get(name) === members) groups.delete(name);
    },
  };
}
