import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";

/** Petrol: calm beside data, far from the colours that mean severity. */
const petrol: MantineColorsTuple = [
  "#eef6f8",
  "#dcebef",
  "#b7d5dd",
  "#8ebdc9",
  "#69a6b6",
  "#4b91a4",
  "#377d91",
  "#2a697c",
  "#1f5566",
  "#143f4d",
];

const dark: MantineColorsTuple = [
  "#d9dee3",
  "#b6bfc7",
  "#98a3ad",
  "#6e7983",
  "#3b454e",
  "#2b343c",
  "#1f262d",
  "#181e24",
  "#12171c",
  "#0c1013",
];

export const theme = createTheme({
  colors: { petrol, dark },
  primaryColor: "petrol",
  primaryShade: { light: 8, dark: 7 },
  autoContrast: true,
  fontFamily: '"Inter Variable", system-ui, sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace',
  fontSizes: { xs: "11.5px", sm: "13px", md: "13px", lg: "15px", xl: "18px" },
  lineHeights: { xs: "1.4", sm: "1.45", md: "1.45", lg: "1.4", xl: "1.3" },
  defaultRadius: "sm",
  radius: { xs: "3px", sm: "5px", md: "7px", lg: "10px", xl: "14px" },
  respectReducedMotion: true,
  cursorType: "pointer",
});

export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#f5f7f8",
    "--mantine-color-text": "#1a2127",
    "--mantine-color-dimmed": "#56616b",
    "--mantine-color-placeholder": "#66717b",
  },
  dark: {
    "--mantine-color-body": "#12171c",
    "--mantine-color-text": "#d9dee3",
    "--mantine-color-dimmed": "#9ba6b0",
    "--mantine-color-placeholder": "#8d98a2",
  },
});
