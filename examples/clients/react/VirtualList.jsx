import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";

/** Messages, of which the page has only those that are seen. It stays at the end, unless the reader has scrolled up. */
export function VirtualList({ messages }) {
  const box = useRef(null);
  const isAtEnd = useRef(true);
  const rows = useVirtualizer({
    count: messages.length,
    getItemKey: (index) => messages[index].id,
    getScrollElement: () => box.current,
    estimateSize: () => 80,
    overscan: 4,
  });
  const height = rows.getTotalSize();
  useEffect(() => {
    if (isAtEnd.current) box.current.scrollTop = height;
  }, [height, messages]);
  const onScroll = ({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
    isAtEnd.current = scrollHeight - scrollTop - clientHeight < 40;
  };
  return (
    <div ref={box} onScroll={onScroll} style={{ height: 400, overflowY: "auto" }} role="log">
      <div style={{ height, position: "relative" }}>
        {rows.getVirtualItems().map(({ key, index, start }) => (
          <div
            key={key}
            ref={rows.measureElement}
            data-index={index}
            className={messages[index].role}
            style={{ position: "absolute", top: start, width: "100%", whiteSpace: "pre-wrap" }}
          >
            {messages[index].content}
          </div>
        ))}
      </div>
    </div>
  );
}
